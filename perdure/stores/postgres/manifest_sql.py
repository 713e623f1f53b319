"""The longer statements of the manifest."""

# ruff: noqa: S608  every statement is put together from constants

TOTALS = """
SELECT count(*) FILTER (WHERE d.status <> 'removed') AS total,
       count(*) FILTER (WHERE d.status = 'processed') AS processed,
       count(*) FILTER (WHERE d.status = 'quarantined') AS quarantined,
       count(*) FILTER (WHERE d.status = 'cancelled') AS cancelled,
       count(*) FILTER (WHERE d.status = 'pending') AS pending,
       coalesce(max(d.ordinal) FILTER (WHERE d.epoch = r.epoch) + 1, 0) AS queued,
       coalesce(sum(size_bytes) FILTER (WHERE d.epoch = r.epoch), 0)::bigint AS queued_bytes,
       coalesce(sum(quality_score ORDER BY position) FILTER (WHERE d.status = 'processed'), 0) AS quality_sum
FROM runs r JOIN documents d USING (workflow_id)
WHERE workflow_id = $1 GROUP BY r.epoch
"""

TAKE_UP = """
WITH base AS (
    SELECT coalesce(max(ordinal) + 1, 0) AS ordinal FROM documents WHERE workflow_id = $1 AND epoch = $2
), todo AS (
    SELECT position, base.ordinal + row_number() OVER (ORDER BY position) - 1 AS ordinal
    FROM documents, base
    WHERE workflow_id = $1 AND epoch < $2
      AND (($4 AND status IN ('pending', 'cancelled'))
           OR (status = 'quarantined' AND ($3 OR version IS DISTINCT FROM read_version)))
)
UPDATE documents d
SET epoch = $2, ordinal = todo.ordinal, status = 'pending', dispatch = 0, attempt = 0,
    reason = NULL, error_type = NULL, committed_at = NULL,
    cause = CASE WHEN d.status = 'quarantined' THEN 'retried' ELSE d.cause END
FROM todo WHERE d.workflow_id = $1 AND d.position = todo.position
"""

# The same for a few new ones in a long manifest, by the indexes of what is not taken up yet; counts what it took.
TAKE_UP_ADDED = """
WITH base AS (
    SELECT coalesce(max(ordinal) + 1, 0) AS ordinal FROM documents WHERE workflow_id = $1 AND epoch = $2
), found AS (
    SELECT position FROM documents
    WHERE workflow_id = $1 AND epoch < $2 AND status IN ('pending', 'cancelled')
    UNION ALL
    SELECT position FROM documents
    WHERE workflow_id = $1 AND epoch < $2 AND status = 'quarantined' AND version IS DISTINCT FROM read_version
), todo AS (
    SELECT position, base.ordinal + row_number() OVER (ORDER BY position) - 1 AS ordinal FROM found, base
), taken AS (
    UPDATE documents d
    SET epoch = $2, ordinal = todo.ordinal, status = 'pending', dispatch = 0, attempt = 0,
        reason = NULL, error_type = NULL, committed_at = NULL,
        cause = CASE WHEN d.status = 'quarantined' THEN 'retried' ELSE d.cause END
    FROM todo WHERE d.workflow_id = $1 AND d.position = todo.position
    RETURNING d.size_bytes
)
UPDATE run_epochs SET queued_bytes = queued_bytes + (SELECT coalesce(sum(size_bytes), 0) FROM taken)
WHERE workflow_id = $1 AND epoch = $2
"""

COUNTED = """
SELECT e.total, e.queued_bytes,
       (SELECT coalesce(max(ordinal) + 1, 0) FROM documents WHERE workflow_id = $1 AND epoch = $2) AS queued
FROM run_epochs e WHERE e.workflow_id = $1 AND e.epoch = $2 AND e.total IS NOT NULL
"""

LEASE = """
WITH leased AS (
    UPDATE documents SET dispatch = $3, attempt = $4
    WHERE workflow_id = $1 AND epoch = $2 AND ordinal >= $5 AND ordinal < $6
      AND status = 'pending' AND (dispatch, attempt) <= ($3, $4)
    RETURNING position
)
SELECT d.position, d.ordinal, d.uri, d.name, d.source, d.size_bytes, d.status, d.quality_score,
       leased.position IS NOT NULL AS leased,
       d.status = 'pending' AND EXISTS (SELECT FROM document_parts p
                                        WHERE p.workflow_id = $1 AND p.position = d.position) AS has_parts
FROM documents d LEFT JOIN leased USING (position)
WHERE d.workflow_id = $1 AND d.epoch = $2 AND d.ordinal >= $5 AND d.ordinal < $6
ORDER BY d.ordinal
"""

_WITHOUT_PARTS = "WITH parts_gone AS (DELETE FROM document_parts WHERE workflow_id = $1 AND position = $2)"

# Only against what this epoch's discovery saw: whoever retries without looking again expects another content.
# Of a file's size, modification and status change, the last says nothing of its content: chmod sets it, too.
_CONTENT_OF = r"regexp_replace({}, '^(\d+-\d+)-\d+$', '\1')"
_CHANGED = f"seen_epoch = $3 AND {_CONTENT_OF.format('$21::text')} <> {_CONTENT_OF.format('version')}"

COMMIT = f"""{_WITHOUT_PARTS}
UPDATE documents
SET status = 'processed', attempts = $6, media_type = $7, sha256 = $8, quality_score = $9, title = $10,
    properties = $11, characters = $12, chunk_count = $13, mention_count = $14, warnings = CASE
        WHEN {_CHANGED} THEN array_append($15, 'The document was changed between discovery and processing.')
        ELSE $15 END,
    authors = $16, created = $17, modified = $18, language = $19, processed_by = $20,
    reason = NULL, error_type = NULL, read_version = coalesce($21, version), committed_at = now()
WHERE workflow_id = $1 AND position = $2 AND status = 'pending' AND epoch = $3 AND dispatch = $4 AND attempt = $5
"""

QUARANTINE = f"""{_WITHOUT_PARTS}
UPDATE documents
SET status = 'quarantined', attempts = $6, reason = $7, error_type = $8, read_version = version, committed_at = now()
WHERE workflow_id = $1 AND position = $2 AND status = 'pending' AND epoch = $3 AND dispatch = $4 AND attempt = $5
"""

SEEN = """
UPDATE documents d
SET version = n.version, size_bytes = n.size_bytes, seen_epoch = $5,
    -- Back again after it had been removed: as if it were new. Epoch 0 means "not queued yet".
    status = CASE WHEN d.status = 'removed' THEN 'pending' ELSE d.status END,
    epoch = CASE WHEN d.status = 'removed' THEN 0 ELSE d.epoch END,
    ordinal = CASE WHEN d.status = 'removed' THEN d.position ELSE d.ordinal END,
    cause = CASE WHEN d.status = 'removed' THEN 'new' ELSE d.cause END,
    removed_epoch = NULL
FROM unnest($2::text[], $3::text[], $4::bigint[]) AS n (uri, version, size_bytes)
WHERE d.workflow_id = $1 AND uri_key(d.uri) = uri_key(n.uri) AND (d.version <> n.version OR d.seen_epoch <> $5)
"""

# The row is locked until the part is stored: whoever finishes the document meanwhile deletes it, too.
KEEP_PARTS = """
WITH mine AS (
    SELECT FROM documents
    WHERE workflow_id = $1 AND position = $2 AND status = 'pending' AND epoch = $3 AND dispatch = $4 AND attempt = $5
    FOR SHARE
)
INSERT INTO document_parts (workflow_id, position, parts) SELECT $1, $2, $6 FROM mine
"""

PARTS = """
SELECT string_agg(parts, ''::bytea ORDER BY part_id) FROM document_parts WHERE workflow_id = $1 AND position = $2
"""
