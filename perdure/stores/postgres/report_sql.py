"""The statements of `report`: each reads a run of any size once and gives a bounded number of rows."""

# A run that ended and was resumed begins with its first epoch.
RUN = """
SELECT r.workflow_id, r.forked_from_workflow, r.forked_from_checkpoint, now() AS asked_at, r.updated_at, r.status,
       coalesce((SELECT min(claimed_at) FROM run_epochs e WHERE e.workflow_id = $1), r.created_at) AS began,
       c.timestamp AS last_checkpoint, c.state_data ->> 'workflow_status' AS checkpoint_status,
       (SELECT count(*) FROM workflow_checkpoints k WHERE k.workflow_id = $1) AS checkpoints,
       (SELECT count(*) FROM identities i WHERE i.workflow_id = $1) AS identities,
       coalesce((SELECT edge_count FROM graphs g WHERE g.workflow_id = $1), 0) AS edges
FROM runs r LEFT JOIN LATERAL (
    SELECT * FROM workflow_checkpoints c WHERE c.workflow_id = r.workflow_id ORDER BY sequence DESC LIMIT 1
) AS c ON true
WHERE r.workflow_id = $1
"""

COUNTS = """
SELECT count(*) AS total,
       count(*) FILTER (WHERE status = 'processed') AS processed,
       count(*) FILTER (WHERE status = 'quarantined') AS quarantined,
       count(*) FILTER (WHERE status = 'pending') AS pending,
       count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
       coalesce(sum(size_bytes), 0)::bigint AS bytes,
       coalesce(sum(characters), 0)::bigint AS characters,
       coalesce(sum(chunk_count), 0)::bigint AS chunks,
       coalesce(sum(mention_count), 0)::bigint AS mentions,
       count(*) FILTER (WHERE attempt > 1 AND committed_at IS NOT NULL) AS retried,
       coalesce(avg(quality_score) FILTER (WHERE status = 'processed'), 0) AS quality,
       min(committed_at) AS first_commit, max(committed_at) AS last_commit
FROM documents WHERE workflow_id = $1 AND status <> 'removed'
"""

# A point of the curve is the last commit of its slice of time, so that a small run is drawn exactly.
PROGRESS = """
SELECT max(committed_at) AS time,
       count(*) FILTER (WHERE status = 'processed') AS processed,
       count(*) FILTER (WHERE status = 'quarantined') AS quarantined
FROM documents
WHERE workflow_id = $1 AND committed_at IS NOT NULL AND status IN ('processed', 'quarantined')
GROUP BY floor(extract(epoch FROM committed_at - $2) / $3) ORDER BY 1
"""

CHECKPOINTS = """
SELECT DISTINCT ON (slice) timestamp AS time, sequence,
       processed_documents + coalesce((state_data ->> 'documents_quarantined')::bigint, 0) AS documents
FROM (SELECT *, floor(extract(epoch FROM timestamp - $2) / $3) AS slice
      FROM workflow_checkpoints WHERE workflow_id = $1) AS sliced
ORDER BY slice, sequence DESC
"""

EPOCHS = """
SELECT epoch, claimed_at FROM run_epochs WHERE workflow_id = $1 ORDER BY epoch DESC LIMIT $2
"""

RECOVERIES = """
SELECT timestamp, metadata ->> 'recovered' AS note FROM workflow_checkpoints
WHERE workflow_id = $1 AND metadata ? 'recovered' ORDER BY sequence DESC LIMIT $2
"""

# Documents taken up again, as moments: those that came within a few seconds of each other are one.
RETRIES = """
SELECT min(committed_at) AS time, count(*) AS documents
FROM (SELECT committed_at, count(*) FILTER (WHERE apart) OVER (ORDER BY committed_at, position) AS moment
      FROM (SELECT committed_at, position,
                   committed_at - lag(committed_at) OVER (ORDER BY committed_at, position) > $3 AS apart
            FROM documents WHERE workflow_id = $1 AND attempt > 1 AND committed_at IS NOT NULL) AS retried
     ) AS grouped
GROUP BY moment ORDER BY 1 LIMIT $2
"""

QUALITY = """
SELECT least(floor(quality_score * $2)::int, $2 - 1) AS bucket, count(*) AS documents
FROM documents WHERE workflow_id = $1 AND status = 'processed' GROUP BY 1
"""

FORMATS = """
SELECT coalesce(media_type, '') AS media_type, count(*) AS documents,
       count(*) FILTER (WHERE status = 'quarantined') AS quarantined,
       coalesce(sum(size_bytes), 0)::bigint AS bytes, avg(quality_score) FILTER (WHERE status = 'processed') AS quality
FROM documents WHERE workflow_id = $1 AND status IN ('processed', 'quarantined')
GROUP BY 1 ORDER BY 2 DESC, coalesce(media_type, '') COLLATE "C" LIMIT $2
"""

FAILURES = """
SELECT error_type, documents, left(name, 300) AS name, left(uri, 1000) AS uri, left(reason, 500) AS reason
FROM (SELECT error_type, name, uri, reason, position,
             count(*) OVER (PARTITION BY error_type) AS documents,
             row_number() OVER (PARTITION BY error_type ORDER BY position) AS place
      FROM documents WHERE workflow_id = $1 AND status = 'quarantined') AS failed
WHERE place <= $2 ORDER BY documents DESC, error_type COLLATE "C", place LIMIT $3
"""

IDENTITIES = """
SELECT kind, of_kind, left(name, 200) AS name, document_count, mention_count
FROM (SELECT kind, name, document_count, mention_count, count(*) OVER (PARTITION BY kind) AS of_kind,
             row_number() OVER (PARTITION BY kind ORDER BY document_count DESC, mention_count DESC,
                                                           name COLLATE "C", identity_id COLLATE "C") AS place
      FROM identities WHERE workflow_id = $1) AS placed
WHERE place <= $2 ORDER BY kind COLLATE "C", place LIMIT $3
"""

NODES = """
SELECT i.identity_id, left(i.name, 200) AS name, i.kind, w.weight
FROM (SELECT id, sum(weight)::bigint AS weight FROM (
          SELECT source AS id, weight FROM graph_edges WHERE workflow_id = $1
          UNION ALL SELECT target, weight FROM graph_edges WHERE workflow_id = $1) AS ends GROUP BY id) AS w
JOIN identities i ON i.workflow_id = $1 AND i.identity_id = w.id
WHERE i.kind <> ALL ($3::text[])
ORDER BY w.weight DESC, i.identity_id COLLATE "C" LIMIT $2
"""

# Of each node the strongest few, so that every node is held by something.
EDGES = """
WITH drawn AS (
    SELECT source, target, weight FROM graph_edges
    WHERE workflow_id = $1 AND source = ANY ($2::text[]) AND target = ANY ($2::text[])
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY id ORDER BY weight DESC, source COLLATE "C", target COLLATE "C") AS place
    FROM (SELECT source AS id, * FROM drawn UNION ALL SELECT target, * FROM drawn) AS ends
)
SELECT DISTINCT source COLLATE "C" AS source, target COLLATE "C" AS target, weight FROM placed WHERE place <= $4
ORDER BY weight DESC, 1, 2 LIMIT $3
"""

# Only where a service's state changes: a healthy run of any length gives one row a service.
SERVICES = """
SELECT name, timestamp, status, left(why, 300) AS why
FROM (SELECT s.key AS name, c.timestamp, c.sequence, s.value ->> 'status' AS status,
             s.value -> 'metadata' ->> 'why' AS why,
             lag(s.value ->> 'status') OVER (PARTITION BY s.key ORDER BY c.sequence) AS before
      FROM workflow_checkpoints c, jsonb_each(c.service_states) AS s WHERE c.workflow_id = $1) AS states
WHERE status IS DISTINCT FROM before ORDER BY name COLLATE "C", sequence LIMIT $2
"""
