"""The log and its vocabulary: what happened, appended once, never rewritten.

Begin with `events/job.py` (all that can happen to a job), then `sqlite/log.py` (the append).
This floor imports neither `projections` nor `queuectl`.
"""
