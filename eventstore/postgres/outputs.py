"""The short outputs of attempts: primary data, which a replay does not change."""

from ..store import ENDS

_ENDS = ", ".join(f"'{name}'" for name in ENDS)

# By position: each event once. The row of each by its primary key.
RECORDED = f"""
    SELECT position, stream, ended.attempt, CAST(fields ->> 'kept_bytes' AS BIGINT),
           fields ->> 'output_sha256', total_bytes, kept
      FROM (SELECT position, stream, CAST(data AS json) AS fields,
                   CAST(CAST(data AS json) ->> 'attempt' AS BIGINT) AS attempt
              FROM events WHERE type IN ({_ENDS})) AS ended
      LEFT JOIN outputs ON outputs.job = stream AND outputs.attempt = ended.attempt
     WHERE CAST(fields ->> 'output_bytes' AS BIGINT) > 0 ORDER BY position"""

# Each row once. The events of its job by the index of streams.
UNRECORDED = f"""
    SELECT job, attempt FROM outputs
     WHERE length(kept) > 0 AND NOT EXISTS (
           SELECT 1 FROM events
            WHERE stream = outputs.job AND type IN ({_ENDS})
              AND CAST(CAST(data AS json) ->> 'attempt' AS BIGINT) = outputs.attempt
              AND CAST(CAST(data AS json) ->> 'output_bytes' AS BIGINT) > 0)"""
