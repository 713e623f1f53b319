-- The statements over whole runs: commits, figures of a summary, the end of a run, retention of checkpoints.

-- name: list_commits
-- Lists the time of each document's commit, its lease, and the number of texts that are stored for the document.
SELECT position, name, status, committed_at, epoch, dispatch, attempt,
       (SELECT count(*) FROM document_texts t
        WHERE t.workflow_id = d.workflow_id AND t.position = d.position) AS results
FROM documents d WHERE workflow_id = :workflow_id ORDER BY position

-- name: count_outputs
-- Counts the rows of each kind of output of a run.
SELECT (SELECT count(*) FROM mentions WHERE workflow_id = :workflow_id) AS mentions,
       (SELECT count(*) FROM identities WHERE workflow_id = :workflow_id) AS identities,
       (SELECT count(*) FROM chunks WHERE workflow_id = :workflow_id) AS chunks,
       (SELECT count(*) FROM graph_edges WHERE workflow_id = :workflow_id) AS edges,
       (SELECT count(*) FROM workflow_checkpoints WHERE workflow_id = :workflow_id) AS checkpoints

-- name: list_top_names
-- Lists the names that the most documents mention.
SELECT name, kind, document_count FROM identities
WHERE workflow_id = :workflow_id AND kind IN ('person', 'organisation', 'place')
ORDER BY document_count DESC, mention_count DESC, name LIMIT :limit

-- name: fence_leases
-- Raises the dispatch of every leased document. A worker that still holds a lease of the run finds its lease replaced.
UPDATE documents SET dispatch = dispatch + 1, attempt = 0
WHERE workflow_id = :workflow_id AND status = 'pending' AND dispatch > 0

-- name: list_finished_ranges
-- Lists the ranges of ordinals of an epoch whose documents have a result. Consecutive ordinals differ from their row
-- numbers by the same amount, so this amount identifies a range.
SELECT min(ordinal) AS first, max(ordinal) + 1 AS past
FROM (SELECT ordinal, ordinal - row_number() OVER (ORDER BY ordinal) AS island
      FROM documents
      WHERE workflow_id = :workflow_id AND epoch = :epoch AND status IN ('processed', 'quarantined')) AS finished
GROUP BY island ORDER BY first

-- name: find_retired
-- Finds the checkpoints to retire: those that are older than :older_than and not among the newest :keep. A checkpoint
-- after a kept checkpoint is kept too, so that the chain has no gap.
SELECT coalesce(max(sequence) FILTER (WHERE retired), 0) AS up_to, count(*) FILTER (WHERE retired) AS checkpoints,
       (array_agg(digest ORDER BY sequence DESC) FILTER (WHERE retired))[1] AS last_digest
FROM (
    SELECT sequence, digest, bool_and(old) OVER (ORDER BY sequence) AS retired
    FROM (
        SELECT sequence, digest,
               row_number() OVER (ORDER BY sequence DESC) > greatest(:keep, 1)
               AND (:older_than::timestamptz IS NULL OR "timestamp" < :older_than) AS old
        FROM workflow_checkpoints WHERE workflow_id = :workflow_id
    ) AS judged
) AS chain
