"""The log of events and their types: events are appended and never changed.

Begin with `events/job.py` (all events of a job), then `store.py` (what a store offers) and
`sqlite/log.py` (the append).
This package imports neither `projections` nor `queuectl`.
"""
