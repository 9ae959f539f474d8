"""Computing states and read models from the log with pure functions, and rebuilding them.

Begin with `folds/job.py` (the states of a job and its transitions), then `read_model.py`.
This package imports `eventstore` only. It uses no clock, no files and no random numbers.
"""
