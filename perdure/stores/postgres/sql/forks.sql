-- The statements that copy a run into a fork.

-- name: result_columns
-- A part of other statements: the columns of a document's result.
media_type, sha256, quality_score, title, properties, characters, chunk_count, mention_count, warnings,
       reason, error_type, committed_at, authors, created, modified, language

-- name: insert_run
-- Creates the row of the fork, with the checkpoint that it begins with.
INSERT INTO runs (workflow_id, epoch, forked_from_workflow, forked_from_checkpoint)
VALUES (:target, :epoch, :origin, :checkpoint_id)

-- name: find_end
-- Finds the position after the :total documents that the checkpoint counts. The checkpoint does not count documents that
-- were removed before, but these documents keep their positions.
SELECT coalesce(max(position) + 1, 0) FROM (
    SELECT position FROM documents
    WHERE workflow_id = :origin AND (removed_epoch IS NULL OR removed_epoch > :epoch)
    ORDER BY position LIMIT :total
) AS counted

-- name: copy_finished
-- Copies the documents that had a result at the checkpoint. The epoch and ordinal of a row say when it got its result:
-- in an epoch before the checkpoint's, or in the checkpoint's own epoch at an ordinal that the checkpoint covers. A row
-- of a later epoch has been processed again since, and its earlier result is gone.
INSERT INTO documents (workflow_id, position, uri, name, source, size_bytes, version, read_version, status, epoch,
                       ordinal, attempts, {result_columns})
SELECT :target, position, uri, name, source, size_bytes, version, read_version, status, :copied_epoch,
       row_number() OVER (ORDER BY position) - 1, attempts, {result_columns}
FROM documents
WHERE workflow_id = :origin AND position < :end AND status IN ('processed', 'quarantined')
  AND (epoch < :epoch OR (epoch = :epoch AND EXISTS (
        SELECT FROM unnest(:firsts::bigint[], :pasts::bigint[]) AS done (first, past)
        WHERE ordinal >= done.first AND ordinal < done.past)))

-- name: copy_unfinished
-- Copies the other documents of the checkpoint, to be processed by the fork.
INSERT INTO documents (workflow_id, position, uri, name, source, size_bytes, version, epoch, ordinal)
SELECT :target, position, uri, name, source, size_bytes, version, 0, position
FROM documents o
WHERE workflow_id = :origin AND position < :end AND status <> 'removed'
  AND NOT EXISTS (SELECT FROM documents c WHERE c.workflow_id = :target AND c.position = o.position)

-- name: copy_outputs
-- Copies the rows of {table} that belong to copied documents.
INSERT INTO {table} (workflow_id, position, {columns})
SELECT :target, position, {columns} FROM {table} o
WHERE workflow_id = :origin
  AND EXISTS (SELECT FROM documents c
              WHERE c.workflow_id = :target AND c.position = o.position AND c.status = 'processed')

-- name: count_copied
-- Counts the documents of the fork by status.
SELECT count(*) FILTER (WHERE status = 'processed') AS processed,
       count(*) FILTER (WHERE status = 'quarantined') AS quarantined,
       count(*) FILTER (WHERE status = 'pending') AS pending
FROM documents WHERE workflow_id = :target
