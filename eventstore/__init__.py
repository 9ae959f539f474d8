"""The log of events and their types: events are appended and never changed.

Begin with `events/job.py` (all events of a job), then `store.py` (the interface of a store),
`appending.py` (the append) and `sqlite/log.py` (the commit).
This package imports neither `projections` nor `queuectl`.
"""
