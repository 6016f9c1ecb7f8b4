-- Between rounds: every thread may start a call again, and no round inherits a long WAL.
UPDATE calls SET slot = id, ended_at = started_at, duration_s = 0, end_reason = 'ended' WHERE ended_at IS NULL;
PRAGMA wal_checkpoint(TRUNCATE);
