-- The statements of the queue of each epoch, and the counts over a manifest.

-- name: count_documents
-- Counts the documents of a run by status, and the queue of its current epoch. A run without documents gives no row.
SELECT count(*) FILTER (WHERE d.status <> 'removed') AS total,
       count(*) FILTER (WHERE d.status = 'processed') AS processed,
       count(*) FILTER (WHERE d.status = 'quarantined') AS quarantined,
       count(*) FILTER (WHERE d.status = 'cancelled') AS cancelled,
       count(*) FILTER (WHERE d.status = 'pending') AS pending,
       coalesce(max(d.ordinal) FILTER (WHERE d.epoch = r.epoch) + 1, 0) AS queued,
       coalesce(sum(size_bytes) FILTER (WHERE d.epoch = r.epoch), 0)::bigint AS queued_bytes,
       coalesce(sum(quality_score ORDER BY position) FILTER (WHERE d.status = 'processed'), 0) AS quality_sum
FROM runs r JOIN documents d USING (workflow_id)
WHERE workflow_id = :workflow_id GROUP BY r.epoch

-- name: enqueue_unfinished
-- Gives the documents of earlier epochs that have no result an ordinal in this epoch. With :quarantined the statement
-- also queues every quarantined document; without it, only quarantined documents whose version has changed. Without
-- :unfinished the statement queues no pending and no cancelled document.
WITH base AS (
    SELECT coalesce(max(ordinal) + 1, 0) AS ordinal FROM documents WHERE workflow_id = :workflow_id AND epoch = :epoch
), todo AS (
    SELECT position, base.ordinal + row_number() OVER (ORDER BY position) - 1 AS ordinal
    FROM documents, base
    WHERE workflow_id = :workflow_id AND epoch < :epoch
      AND ((:unfinished AND status IN ('pending', 'cancelled'))
           OR (status = 'quarantined' AND (:quarantined OR version IS DISTINCT FROM read_version)))
)
UPDATE documents d
SET epoch = :epoch, ordinal = todo.ordinal, status = 'pending', dispatch = 0, attempt = 0,
    reason = NULL, error_type = NULL, committed_at = NULL,
    cause = CASE WHEN d.status = 'quarantined' THEN 'retried' ELSE d.cause END
FROM todo WHERE d.workflow_id = :workflow_id AND d.position = todo.position

-- name: enqueue_added
-- Does the same as enqueue_unfinished for a few new documents in a long manifest. The statement finds them by the
-- indexes of documents without a result, and adds their sizes to the count of the epoch.
WITH base AS (
    SELECT coalesce(max(ordinal) + 1, 0) AS ordinal FROM documents WHERE workflow_id = :workflow_id AND epoch = :epoch
), added AS (
    SELECT position FROM documents
    WHERE workflow_id = :workflow_id AND epoch < :epoch AND status IN ('pending', 'cancelled')
    UNION ALL
    SELECT position FROM documents
    WHERE workflow_id = :workflow_id AND epoch < :epoch AND status = 'quarantined'
      AND version IS DISTINCT FROM read_version
), todo AS (
    SELECT position, base.ordinal + row_number() OVER (ORDER BY position) - 1 AS ordinal FROM added, base
), enqueued AS (
    UPDATE documents d
    SET epoch = :epoch, ordinal = todo.ordinal, status = 'pending', dispatch = 0, attempt = 0,
        reason = NULL, error_type = NULL, committed_at = NULL,
        cause = CASE WHEN d.status = 'quarantined' THEN 'retried' ELSE d.cause END
    FROM todo WHERE d.workflow_id = :workflow_id AND d.position = todo.position
    RETURNING d.size_bytes
)
UPDATE run_epochs SET queued_bytes = queued_bytes + (SELECT coalesce(sum(size_bytes), 0) FROM enqueued)
WHERE workflow_id = :workflow_id AND epoch = :epoch

-- name: read_queue_counts
-- Reads the counts that the epoch keeps. An epoch that has counted nothing yet gives no row.
SELECT e.total, e.queued_bytes,
       (SELECT coalesce(max(ordinal) + 1, 0) FROM documents
        WHERE workflow_id = :workflow_id AND epoch = :epoch) AS queued
FROM run_epochs e WHERE e.workflow_id = :workflow_id AND e.epoch = :epoch AND e.total IS NOT NULL
