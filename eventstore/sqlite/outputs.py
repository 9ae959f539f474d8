"""The short outputs of attempts: primary data, which a replay does not change."""

# Reads each event once, by position, and its output by the primary key.
RECORDED = """
    SELECT position, stream, data ->> 'attempt', data ->> 'kept_bytes', data ->> 'output_sha256',
           total_bytes, kept
      FROM events LEFT JOIN outputs ON job = stream AND attempt = data ->> 'attempt'
     WHERE type IN (?, ?, ?) AND data ->> 'output_bytes' > 0 ORDER BY position"""

# Reads each row once, and the events of its job by the index of streams.
UNRECORDED = """
    SELECT job, attempt FROM outputs
     WHERE length(kept) > 0 AND NOT EXISTS (
           SELECT 1 FROM events
            WHERE stream = job AND type IN (?, ?, ?)
              AND data ->> 'attempt' = attempt AND data ->> 'output_bytes' > 0)"""
