-- The checks of an audit. Each check gives one row for each difference. `position` is that of the document; NULL if the
-- difference is about no document. `subject` names the subject of the difference. `expected` and `found` are texts.

-- name: list_checkpoints
-- Lists the chain of a run with the columns that the database derives.
SELECT checkpoint_id, workflow_id, "timestamp", processed_documents, state_data, service_states, metadata,
       sequence, epoch, digest, previous_digest
FROM workflow_checkpoints WHERE workflow_id = :workflow_id ORDER BY sequence

-- name: list_disabled_guards
-- Lists the triggers of the table of checkpoints that are switched off.
SELECT tgname FROM pg_trigger
WHERE tgrelid = 'workflow_checkpoints'::regclass AND NOT tgisinternal AND tgenabled = 'D' ORDER BY tgname

-- name: read_run
-- Reads the row of a run, with the claim that got its epoch.
SELECT epoch, status, (SELECT first_run_id FROM run_epochs e
                       WHERE e.workflow_id = r.workflow_id AND e.epoch = r.epoch) AS claim
FROM runs r WHERE workflow_id = :workflow_id

-- name: missing_document
-- Positions count from 0 without a gap.
SELECT place AS position, 'document ' || place AS subject, NULL AS expected, NULL AS found
FROM generate_series(0, (SELECT max(position) FROM documents WHERE workflow_id = :workflow_id)) AS place
WHERE NOT EXISTS (SELECT FROM documents WHERE workflow_id = :workflow_id AND position = place)

-- name: missing_text
-- A processed document has a text.
SELECT d.position, d.uri AS subject, NULL AS expected, NULL AS found
FROM documents d LEFT JOIN document_texts o USING (workflow_id, position)
WHERE d.workflow_id = :workflow_id AND d.status = 'processed' AND o.position IS NULL

-- name: wrong_text_length
-- The text is as long as the document's row says.
SELECT d.position, d.uri AS subject, d.characters::text AS expected, length(o.text)::text AS found
FROM documents d JOIN document_texts o USING (workflow_id, position)
WHERE d.workflow_id = :workflow_id AND d.status = 'processed' AND length(o.text) IS DISTINCT FROM d.characters

-- name: miscounted
-- A pattern of checks: {table} holds as many rows of a document as {column} says, numbered from 0.
SELECT d.position, d.uri AS subject, d.{column}::text AS expected, coalesce(o.found, 0)::text AS found
FROM documents d LEFT JOIN (SELECT position, count(*) AS found, max(ordinal) + 1 AS top
                            FROM {table} WHERE workflow_id = :workflow_id GROUP BY position) AS o USING (position)
WHERE d.workflow_id = :workflow_id AND d.status = 'processed'
  AND (coalesce(o.found, 0) IS DISTINCT FROM d.{column} OR coalesce(o.top, 0) IS DISTINCT FROM d.{column})

-- name: incomplete_document
-- The row of a document with a result has every column that this result needs.
SELECT d.position, d.uri AS subject, d.status AS expected, concat_ws(', ',
           CASE WHEN sha256 IS NULL OR sha256 !~ '^[0-9a-f]{64}$' THEN 'sha256' END,
           CASE WHEN quality_score IS NULL THEN 'quality_score' END,
           CASE WHEN media_type IS NULL THEN 'media_type' END,
           CASE WHEN characters IS NULL THEN 'characters' END,
           CASE WHEN chunk_count IS NULL THEN 'chunk_count' END,
           CASE WHEN mention_count IS NULL THEN 'mention_count' END,
           CASE WHEN committed_at IS NULL THEN 'committed_at' END) AS found
FROM documents d
WHERE workflow_id = :workflow_id AND status = 'processed'
  AND (sha256 IS NULL OR sha256 !~ '^[0-9a-f]{64}$' OR quality_score IS NULL OR media_type IS NULL
       OR characters IS NULL OR chunk_count IS NULL OR mention_count IS NULL OR committed_at IS NULL)
UNION ALL
SELECT d.position, d.uri AS subject, status, concat_ws(', ', CASE WHEN reason IS NULL THEN 'reason' END,
           CASE WHEN error_type IS NULL THEN 'error_type' END,
           CASE WHEN committed_at IS NULL THEN 'committed_at' END)
FROM documents d
WHERE workflow_id = :workflow_id AND status = 'quarantined'
  AND (reason IS NULL OR error_type IS NULL OR committed_at IS NULL)

-- name: orphaned
-- A pattern of checks: the rows of {table} belong to a document for which {allowed} holds.
SELECT o.position, coalesce(d.uri, 'document ' || o.position) AS subject, d.status AS expected, o.found::text AS found
FROM (SELECT position, count(*) AS found FROM {table} WHERE workflow_id = :workflow_id GROUP BY position) AS o
LEFT JOIN documents d ON d.workflow_id = :workflow_id AND d.position = o.position
WHERE ({allowed}) IS NOT TRUE

-- name: misplaced
-- A pattern of checks: the rows of {table} lie inside the text of their document.
SELECT d.position, d.uri AS subject, d.characters::text AS expected, count(*)::text AS found
FROM {table} o JOIN documents d USING (workflow_id, position)
WHERE workflow_id = :workflow_id AND d.status = 'processed'
  AND (o.start_offset < 0 OR o.end_offset > d.characters OR o.start_offset > o.end_offset)
GROUP BY d.position, d.uri, d.characters

-- name: covered_ordinals
-- A part of other checks: the ordinals that the checkpoint covers, given as ranges from :firsts to before :ends.
WITH covered AS (
    SELECT ordinal FROM unnest(:firsts::bigint[], :ends::bigint[]) AS range (first, past),
           LATERAL generate_series(first, past - 1) AS ordinal
)

-- name: unfinished_document
-- A document that the checkpoint covers has a result.
{covered_ordinals}
SELECT d.position, coalesce(d.uri, 'ordinal ' || covered.ordinal) AS subject, covered.ordinal::text AS expected,
       d.status AS found
FROM covered LEFT JOIN documents d
     ON d.workflow_id = :workflow_id AND d.epoch = :epoch AND d.ordinal = covered.ordinal
WHERE d.status IS NULL OR d.status NOT IN ('processed', 'quarantined')

-- name: uncovered_document
-- The checkpoint covers every document that has a result.
{covered_ordinals}
SELECT d.position, d.uri AS subject, d.status AS expected, d.epoch::text AS found
FROM documents d
WHERE d.workflow_id = :workflow_id AND d.status IN ('processed', 'quarantined')
  AND (d.epoch > :epoch OR d.epoch = :epoch AND d.ordinal NOT IN (SELECT ordinal FROM covered))

-- name: wrong_identity
-- An identity has the counts of mentions and documents that the mentions give.
SELECT NULL::bigint AS position, key AS subject, m.value AS expected, s.value AS found
FROM (SELECT coalesce(i.kind || ' ' || i.normalised, m.kind || ' ' || m.normalised) AS key,
             concat_ws(' ', count(*), count(DISTINCT position)) AS value
      FROM mentions m LEFT JOIN identity_members n USING (workflow_id, kind, normalised)
      LEFT JOIN identities i ON i.workflow_id = m.workflow_id AND i.identity_id = n.identity_id
      WHERE m.workflow_id = :workflow_id GROUP BY 1) AS m
FULL JOIN (SELECT kind || ' ' || normalised AS key, concat_ws(' ', mention_count, document_count) AS value
           FROM identities WHERE workflow_id = :workflow_id) AS s USING (key)
WHERE m.value IS DISTINCT FROM s.value

-- name: wrong_alias
-- A spelling of an identity has the count of mentions that the mentions give.
SELECT NULL::bigint AS position, key AS subject, m.value AS expected, s.value AS found
FROM (SELECT i.identity_id || ' ' || m.surface AS key, count(*)::text AS value
      FROM mentions m JOIN identity_members i USING (workflow_id, kind, normalised)
      WHERE workflow_id = :workflow_id GROUP BY i.identity_id, m.surface) AS m
FULL JOIN (SELECT identity_id || ' ' || surface AS key, mention_count::text AS value
           FROM identity_aliases WHERE workflow_id = :workflow_id) AS s USING (key)
WHERE m.value IS DISTINCT FROM s.value

-- name: wrong_name
-- An identity is named by its most frequent spelling.
SELECT NULL::bigint AS position, i.kind || ' ' || i.normalised AS subject, made.name AS expected, i.name AS found
FROM identities i LEFT JOIN (
    SELECT identity_id, (array_agg(surface ORDER BY mention_count DESC, surface COLLATE "C"))[1] AS name
    FROM identity_aliases WHERE workflow_id = :workflow_id GROUP BY identity_id) AS made
    USING (identity_id)
WHERE i.workflow_id = :workflow_id AND i.name IS DISTINCT FROM made.name

-- name: wrong_graph
-- The graph has as many nodes as there are identities, and as many edges as are stored.
SELECT NULL::bigint AS position, 'graph' AS subject,
       concat((SELECT count(*) FROM identities WHERE workflow_id = :workflow_id), ' nodes and ',
              (SELECT count(*) FROM graph_edges WHERE workflow_id = :workflow_id), ' edges') AS expected,
       (SELECT concat(node_count, ' nodes and ', edge_count, ' edges')
        FROM graphs WHERE workflow_id = :workflow_id) AS found
WHERE NOT EXISTS (
    SELECT FROM graphs WHERE workflow_id = :workflow_id
      AND node_count = (SELECT count(*) FROM identities WHERE workflow_id = :workflow_id)
      AND edge_count = (SELECT count(*) FROM graph_edges WHERE workflow_id = :workflow_id))

-- name: wrong_edge
-- An edge weighs as many documents as have both of its ends. Of each document at most :max_identities identities enter
-- the graph.
{chosen_identities}
SELECT NULL::bigint AS position, key AS subject, m.value AS expected, s.value AS found
FROM (SELECT a.identity_id || ' - ' || b.identity_id AS key, count(*)::text AS value
      FROM chosen a JOIN chosen b ON a.position = b.position AND a.identity_id < b.identity_id
      GROUP BY a.identity_id, b.identity_id) AS m
FULL JOIN (SELECT source || ' - ' || target AS key, weight::text AS value
           FROM graph_edges WHERE workflow_id = :workflow_id) AS s USING (key)
WHERE m.value IS DISTINCT FROM s.value

-- name: wrong_node
-- A node of a ranked graph has the degree and strength that the edges give.
SELECT NULL::bigint AS position, key AS subject, m.value AS expected, s.value AS found
FROM (SELECT identity_id AS key, concat_ws(' ', coalesce(degree, 0), coalesce(strength, 0)) AS value
      FROM identities i JOIN graphs g USING (workflow_id)
      LEFT JOIN ({degrees_of_nodes}) AS degrees USING (identity_id)
      WHERE i.workflow_id = :workflow_id AND g.ranked) AS m
FULL JOIN (SELECT identity_id AS key, concat_ws(' ', degree, strength) AS value
           FROM graph_nodes WHERE workflow_id = :workflow_id) AS s USING (key)
WHERE m.value IS DISTINCT FROM s.value

-- name: wrong_statistics
-- The statistics of a document are those that its outputs give.
SELECT key AS position, 'document ' || key AS subject, m.value AS expected, s.value AS found
FROM (SELECT position AS key, made::text AS value FROM ({statistics_of_run}) AS made) AS m
FULL JOIN (SELECT position AS key, s::text AS value
           FROM document_statistics AS s WHERE workflow_id = :workflow_id) AS s USING (key)
WHERE m.value IS DISTINCT FROM s.value

-- name: wrong_vector
-- The vector of a document is the normalised mean of the vectors of its chunks.
SELECT key AS position, 'document ' || key AS subject, m.value AS expected, s.value AS found
FROM (SELECT position AS key, made::text AS value FROM ({vectors_of_run}) AS made) AS m
FULL JOIN (SELECT position AS key, v::text AS value
           FROM document_vectors AS v WHERE workflow_id = :workflow_id) AS s USING (key)
WHERE m.value IS DISTINCT FROM s.value

-- name: limited
-- Puts a check into a frame that names its first few differences and counts them all.
SELECT *, count(*) OVER () AS all_of_them FROM ({check}) AS differences LIMIT {at_most}
