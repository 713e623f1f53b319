-- The statements that update an earlier run to the present content of its sources.

-- name: list_vanished
-- Lists documents that this epoch's discovery did not find under the given sources, at most :limit. The list
-- has no document of a source without any discovered document: such a source is more probably unreachable than empty.
-- Sources are compared without their patterns, so a source with changed patterns is the same source. A file that the
-- new patterns leave out counts as vanished.
SELECT position FROM documents d
WHERE workflow_id = :workflow_id AND regexp_replace(source, '#(include|ignore)=.*$', '') = ANY(:bases)
  AND seen_epoch < :epoch AND status <> 'removed'
  AND EXISTS (SELECT FROM documents s WHERE s.workflow_id = :workflow_id AND s.seen_epoch = :epoch
              AND regexp_replace(s.source, '#(include|ignore)=.*$', '')
                  = regexp_replace(d.source, '#(include|ignore)=.*$', ''))
ORDER BY position LIMIT :limit

-- name: list_outdated
-- Lists documents that another version of the processing code has processed, at most :limit.
SELECT position FROM documents
WHERE workflow_id = :workflow_id AND epoch < :epoch AND seen_epoch = :epoch AND status = 'processed'
  AND processed_by IS DISTINCT FROM :processed_by
ORDER BY position LIMIT :limit

-- name: remove_documents
-- Marks documents removed.
UPDATE documents SET status = 'removed', removed_epoch = :epoch, reason = NULL, error_type = NULL
WHERE workflow_id = :workflow_id AND position = ANY(:positions)

-- name: forget_results
-- Makes documents pending again. Epoch 0 means "not queued yet"; the ordinal of such a row is its position.
UPDATE documents
SET status = 'pending', epoch = 0, ordinal = position, cause = :cause, committed_at = NULL, media_type = NULL,
    sha256 = NULL, quality_score = NULL, title = NULL, properties = NULL, characters = NULL,
    chunk_count = NULL, mention_count = NULL, warnings = '{}', authors = DEFAULT, created = NULL,
    modified = NULL, language = NULL
WHERE workflow_id = :workflow_id AND position = ANY(:positions)
