-- The statements of a report. Each statement reads the run once, and gives a bounded number of rows for a run of any
-- size.

-- name: read_run
-- Reads the row of a run with its latest checkpoint and the counts of its outputs. `began` is the time of the claim of
-- the first epoch, also for a run that was resumed.
SELECT r.workflow_id, r.forked_from_workflow, r.forked_from_checkpoint, now() AS asked_at, r.updated_at, r.status,
       coalesce((SELECT min(claimed_at) FROM run_epochs e WHERE e.workflow_id = :workflow_id), r.created_at) AS began,
       c.timestamp AS last_checkpoint, c.state_data ->> 'workflow_status' AS checkpoint_status,
       (SELECT count(*) FROM workflow_checkpoints k WHERE k.workflow_id = :workflow_id) AS checkpoints,
       (SELECT count(*) FROM identities i WHERE i.workflow_id = :workflow_id) AS identities,
       coalesce((SELECT edge_count FROM graphs g WHERE g.workflow_id = :workflow_id), 0) AS edges
FROM runs r LEFT JOIN LATERAL (
    SELECT * FROM workflow_checkpoints c WHERE c.workflow_id = r.workflow_id ORDER BY sequence DESC LIMIT 1
) AS c ON true
WHERE r.workflow_id = :workflow_id

-- name: count_documents
-- Counts the documents of a run, their sizes and their outputs.
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
FROM documents WHERE workflow_id = :workflow_id AND status <> 'removed'

-- name: list_progress
-- Counts the results of each slice of time. The time of a row is the last commit of its slice, so the curve of a run with
-- few documents is exact.
SELECT max(committed_at) AS time,
       count(*) FILTER (WHERE status = 'processed') AS processed,
       count(*) FILTER (WHERE status = 'quarantined') AS quarantined
FROM documents
WHERE workflow_id = :workflow_id AND committed_at IS NOT NULL AND status IN ('processed', 'quarantined')
GROUP BY floor(extract(epoch FROM committed_at - :began) / :slice) ORDER BY 1

-- name: list_checkpoints
-- Lists the last checkpoint of each slice of time.
SELECT DISTINCT ON (slice) timestamp AS time, sequence,
       processed_documents + coalesce((state_data ->> 'documents_quarantined')::bigint, 0) AS documents
FROM (SELECT *, floor(extract(epoch FROM timestamp - :began) / :slice) AS slice
      FROM workflow_checkpoints WHERE workflow_id = :workflow_id) AS sliced
ORDER BY slice, sequence DESC

-- name: list_epochs
-- Lists the epochs of a run, the latest first.
SELECT epoch, claimed_at FROM run_epochs WHERE workflow_id = :workflow_id ORDER BY epoch DESC LIMIT :limit

-- name: list_recoveries
-- Lists the checkpoints that record a recovery, the latest first.
SELECT timestamp, metadata ->> 'recovered' AS note FROM workflow_checkpoints
WHERE workflow_id = :workflow_id AND metadata ? 'recovered' ORDER BY sequence DESC LIMIT :limit

-- name: list_retries
-- Lists the times at which second and later attempts committed documents. A row joins commits less than :gap apart.
SELECT min(committed_at) AS time, count(*) AS documents
FROM (SELECT committed_at, count(*) FILTER (WHERE apart) OVER (ORDER BY committed_at, position) AS moment
      FROM (SELECT committed_at, position,
                   committed_at - lag(committed_at) OVER (ORDER BY committed_at, position) > :gap AS apart
            FROM documents WHERE workflow_id = :workflow_id AND attempt > 1 AND committed_at IS NOT NULL) AS retried
     ) AS grouped
GROUP BY moment ORDER BY 1 LIMIT :limit

-- name: count_quality
-- Counts the processed documents by quality score, in :buckets equal steps from 0 to 1.
SELECT least(floor(quality_score * :buckets)::int, :buckets - 1) AS bucket, count(*) AS documents
FROM documents WHERE workflow_id = :workflow_id AND status = 'processed' GROUP BY 1

-- name: list_formats
-- Lists the media types of the finished documents, the most frequent first.
SELECT coalesce(media_type, '') AS media_type, count(*) AS documents,
       count(*) FILTER (WHERE status = 'quarantined') AS quarantined,
       coalesce(sum(size_bytes), 0)::bigint AS bytes, avg(quality_score) FILTER (WHERE status = 'processed') AS quality
FROM documents WHERE workflow_id = :workflow_id AND status IN ('processed', 'quarantined')
GROUP BY 1 ORDER BY 2 DESC, coalesce(media_type, '') COLLATE "C" LIMIT :limit

-- name: list_failures
-- Lists quarantined documents by the type of their error, at most :per_group of each type.
SELECT error_type, documents, left(name, 300) AS name, left(uri, 1000) AS uri, left(reason, 500) AS reason
FROM (SELECT error_type, name, uri, reason, position,
             count(*) OVER (PARTITION BY error_type) AS documents,
             row_number() OVER (PARTITION BY error_type ORDER BY position) AS place
      FROM documents WHERE workflow_id = :workflow_id AND status = 'quarantined') AS failed
WHERE place <= :per_group ORDER BY documents DESC, error_type COLLATE "C", place LIMIT :limit

-- name: list_identities
-- Lists the identities of each kind, those in the most documents first, at most :per_kind of each kind.
SELECT kind, of_kind, left(name, 200) AS name, document_count, mention_count
FROM (SELECT kind, name, document_count, mention_count, count(*) OVER (PARTITION BY kind) AS of_kind,
             row_number() OVER (PARTITION BY kind ORDER BY document_count DESC, mention_count DESC,
                                                           name COLLATE "C", identity_id COLLATE "C") AS place
      FROM identities WHERE workflow_id = :workflow_id) AS placed
WHERE place <= :per_kind ORDER BY kind COLLATE "C", place LIMIT :limit

-- name: list_nodes
-- Lists the nodes with the heaviest edges.
SELECT i.identity_id, left(i.name, 200) AS name, i.kind, w.weight
FROM (SELECT id, sum(weight)::bigint AS weight FROM (
          SELECT source AS id, weight FROM graph_edges WHERE workflow_id = :workflow_id
          UNION ALL SELECT target, weight FROM graph_edges WHERE workflow_id = :workflow_id) AS ends GROUP BY id) AS w
JOIN identities i ON i.workflow_id = :workflow_id AND i.identity_id = w.id
WHERE i.kind <> ALL (:left_out_kinds::text[])
ORDER BY w.weight DESC, i.identity_id COLLATE "C" LIMIT :limit

-- name: list_edges
-- Lists the edges between the given nodes. Each node keeps its heaviest :per_node edges, so that no node is drawn
-- without an edge.
WITH drawn AS (
    SELECT source, target, weight FROM graph_edges
    WHERE workflow_id = :workflow_id AND source = ANY (:node_ids::text[]) AND target = ANY (:node_ids::text[])
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY id ORDER BY weight DESC, source COLLATE "C", target COLLATE "C") AS place
    FROM (SELECT source AS id, * FROM drawn UNION ALL SELECT target, * FROM drawn) AS ends
)
SELECT DISTINCT source COLLATE "C" AS source, target COLLATE "C" AS target, weight
FROM placed WHERE place <= :per_node
ORDER BY weight DESC, 1, 2 LIMIT :limit

-- name: list_service_changes
-- Lists the checkpoints at which the status of a service changed. A service that was healthy during the whole run has
-- one row.
SELECT name, timestamp, status, left(why, 300) AS why
FROM (SELECT s.key AS name, c.timestamp, c.sequence, s.value ->> 'status' AS status,
             s.value -> 'metadata' ->> 'why' AS why,
             lag(s.value ->> 'status') OVER (PARTITION BY s.key ORDER BY c.sequence) AS before
      FROM workflow_checkpoints c, jsonb_each(c.service_states) AS s WHERE c.workflow_id = :workflow_id) AS states
WHERE status IS DISTINCT FROM before ORDER BY name COLLATE "C", sequence LIMIT :limit
