"""What the log means: pure folds from events to read models, and their rebuild.

Begin with `folds/job.py` (a job's states and the way between them), then `read_model.py`.
This floor imports `eventstore` only, and knows no clock, no files, no randomness.
"""
