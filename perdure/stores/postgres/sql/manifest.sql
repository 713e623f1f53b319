-- The statements of the manifest: discovery, leases, and the result of each document.

-- name: list_changed_candidates
-- Lists a page of the processed documents of earlier epochs whose present version differs from the version that a
-- worker read.
SELECT position, uri, sha256 FROM documents
WHERE workflow_id = :workflow_id AND status = 'processed' AND position > :after
  AND version IS DISTINCT FROM read_version AND epoch < :epoch
ORDER BY position LIMIT :limit

-- name: lease_batch
-- Leases the pending documents of a range of ordinals, and returns every document of the range. `leased` is false where
-- a later dispatch or attempt holds the document, and where the document has a result.
WITH leased AS (
    UPDATE documents SET dispatch = :dispatch, attempt = :attempt
    WHERE workflow_id = :workflow_id AND epoch = :epoch AND ordinal >= :first AND ordinal < :end
      AND status = 'pending' AND (dispatch, attempt) <= (:dispatch, :attempt)
    RETURNING position
)
SELECT d.position, d.ordinal, d.uri, d.name, d.source, d.size_bytes, d.status, d.quality_score,
       leased.position IS NOT NULL AS leased,
       d.status = 'pending' AND EXISTS (SELECT FROM document_parts p
                                        WHERE p.workflow_id = :workflow_id AND p.position = d.position) AS has_parts
FROM documents d LEFT JOIN leased USING (position)
WHERE d.workflow_id = :workflow_id AND d.epoch = :epoch AND d.ordinal >= :first AND d.ordinal < :end
ORDER BY d.ordinal

-- name: delete_parts
-- Deletes the finished parts of a document that gets its result. It runs after the statement that locks the document's
-- row. A statement that waits for this lock does not see the parts that were committed while it waited.
DELETE FROM document_parts WHERE workflow_id = :workflow_id AND position = :position

-- name: held_by_this_lease
-- A part of other statements: the condition that fences a document's row. A lease that a later lease has replaced
-- matches no row.
workflow_id = :workflow_id AND position = :position AND status = 'pending'
  AND epoch = :epoch AND dispatch = :dispatch AND attempt = :attempt

-- name: was_changed
-- A part of other statements: whether the document was changed between discovery and processing. The condition holds
-- only for versions that this epoch's discovery recorded. An epoch without discovery records no versions, and a document
-- may have changed since the earlier discovery. A file's version ends with the time of its last status change. The
-- comparison leaves out this time, because chmod sets it without a change of the content.
seen_epoch = :epoch AND regexp_replace(:read_version::text, '^(\d+-\d+)-\d+$', '\1')
                        <> regexp_replace(version, '^(\d+-\d+)-\d+$', '\1')

-- name: commit_document
-- Marks a document processed, under the lease that holds it. Writes no row when the lease was replaced.
UPDATE documents
SET status = 'processed', attempts = :attempts, media_type = :media_type, sha256 = :sha256,
    quality_score = :quality_score, title = :title, properties = :properties, characters = :characters,
    chunk_count = :chunk_count, mention_count = :mention_count, warnings = CASE
        WHEN {was_changed}
        THEN array_append(:warnings, 'The document was changed between discovery and processing.')
        ELSE :warnings END,
    authors = :authors, created = :created, modified = :modified, language = :language, processed_by = :processed_by,
    reason = NULL, error_type = NULL, read_version = coalesce(:read_version, version), committed_at = now()
WHERE {held_by_this_lease}

-- name: quarantine_document
-- Marks a document quarantined with its reason, under the lease that holds it. Writes no row when the lease was
-- replaced.
UPDATE documents
SET status = 'quarantined', attempts = :attempts, reason = :reason, error_type = :error_type, read_version = version,
    committed_at = now()
WHERE {held_by_this_lease}

-- name: keep_parts
-- Stores finished parts of a document, under the lease that holds it. Writes no row when the lease was replaced. The
-- document's row stays locked until the parts are committed: a commit of the same document deletes them afterwards.
WITH held AS (
    SELECT FROM documents
    WHERE {held_by_this_lease}
    FOR SHARE
)
INSERT INTO document_parts (workflow_id, position, parts) SELECT :workflow_id, :position, :parts FROM held

-- name: read_parts
-- Joins all finished parts of a document, in the order of their storage. Gives NULL for a document without parts.
SELECT string_agg(parts, ''::bytea ORDER BY part_id)
FROM document_parts WHERE workflow_id = :workflow_id AND position = :position

-- name: list_names
-- Lists the names of a range of ordinals, in order.
SELECT name FROM documents
WHERE workflow_id = :workflow_id AND epoch = :epoch AND ordinal >= :first AND ordinal < :end ORDER BY ordinal

-- name: find_ordinals
-- Finds the smallest range of ordinals that holds the documents of these URIs.
SELECT coalesce(min(ordinal), 0) AS first, coalesce(max(ordinal) + 1, 0) AS end
FROM documents WHERE workflow_id = :workflow_id AND epoch = :epoch AND uri_key(uri) = ANY(:uri_keys)

-- name: note_seen
-- Records the present version and size of known documents, and that this epoch's discovery has seen the documents. A
-- removed document becomes a new document. Epoch 0 means "not queued yet".
UPDATE documents d
SET version = n.version, size_bytes = n.size_bytes, seen_epoch = :epoch,
    status = CASE WHEN d.status = 'removed' THEN 'pending' ELSE d.status END,
    epoch = CASE WHEN d.status = 'removed' THEN 0 ELSE d.epoch END,
    ordinal = CASE WHEN d.status = 'removed' THEN d.position ELSE d.ordinal END,
    cause = CASE WHEN d.status = 'removed' THEN 'new' ELSE d.cause END,
    removed_epoch = NULL
FROM unnest(:uris::text[], :versions::text[], :sizes::bigint[]) AS n (uri, version, size_bytes)
WHERE d.workflow_id = :workflow_id AND uri_key(d.uri) = uri_key(n.uri)
  AND (d.version <> n.version OR d.seen_epoch <> :epoch)
