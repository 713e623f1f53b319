-- The statements that make the graph, the table of statistics and the vectors of a run. The audit includes some of
-- them, to compare what is stored with what the documents give.

-- name: chosen_identities
-- A part of other statements: the identities of each document that enter the graph, the most frequent first, at most
-- :max_identities for each document.
WITH occurrences AS (
    SELECT m.position, i.identity_id,
           row_number() OVER (PARTITION BY m.position ORDER BY count(*) DESC, i.identity_id COLLATE "C") AS rank
    FROM mentions m JOIN identity_members i USING (workflow_id, kind, normalised)
    WHERE m.workflow_id = :workflow_id GROUP BY m.position, i.identity_id
), chosen AS (SELECT position, identity_id FROM occurrences WHERE rank <= :max_identities)

-- name: list_chosen_identities
-- Lists the identities of each document that enter the graph.
{chosen_identities}
SELECT position, identity_id FROM chosen ORDER BY position

-- name: insert_graph
-- Records the graph of a run with its number of nodes, before its edges are known.
INSERT INTO graphs (workflow_id, node_count, edge_count) VALUES (:workflow_id, :nodes, 0)

-- name: insert_edges
-- Connects two identities by the number of documents in which both occur.
{chosen_identities}
INSERT INTO graph_edges (workflow_id, source, target, weight)
SELECT :workflow_id, a.identity_id, b.identity_id, count(*)
FROM chosen a JOIN chosen b ON a.position = b.position AND a.identity_id < b.identity_id
GROUP BY a.identity_id, b.identity_id

-- name: statistics_of_run
-- A part of other statements: the statistics of each processed document, in the order of the table's columns.
SELECT d.workflow_id, d.position, d.characters, d.chunk_count, d.mention_count,
       coalesce(m.identities, 0), coalesce(m.kinds, '{}')
FROM documents d LEFT JOIN (
    SELECT position, sum(identities) AS identities, jsonb_object_agg(kind, mentions) AS kinds
    FROM (SELECT position, kind, count(DISTINCT identity_id) AS identities, count(*) AS mentions
          FROM mentions JOIN identity_members USING (workflow_id, kind, normalised)
          WHERE workflow_id = :workflow_id GROUP BY position, kind) AS by_kind
    GROUP BY position
) AS m USING (position)
WHERE d.workflow_id = :workflow_id AND d.status = 'processed'

-- name: insert_statistics
-- Stores the statistics of each processed document.
INSERT INTO document_statistics
    (workflow_id, position, characters, chunk_count, mention_count, identity_count, kinds)
{statistics_of_run}

-- name: vectors_of_run
-- A part of other statements: the vector of each document, the normalised mean of the vectors of its chunks.
SELECT workflow_id, position, l2_normalize(avg(embedding ORDER BY ordinal))
FROM chunks WHERE workflow_id = :workflow_id GROUP BY workflow_id, position

-- name: insert_vectors
-- Stores the vector of each document.
INSERT INTO document_vectors (workflow_id, position, embedding)
{vectors_of_run}

-- name: count_built
-- Counts the nodes, edges, statistics and vectors of a run. A run without a graph gives no row.
SELECT node_count, edge_count,
       (SELECT count(*) FROM document_statistics WHERE workflow_id = :workflow_id) AS statistics,
       (SELECT count(*) FROM document_vectors WHERE workflow_id = :workflow_id) AS vectors
FROM graphs WHERE workflow_id = :workflow_id

-- name: list_heaviest_edges
-- Lists the edges of a graph, the heaviest first, at most :limit.
SELECT source, target, weight FROM graph_edges WHERE workflow_id = :workflow_id
ORDER BY weight DESC, source COLLATE "C", target COLLATE "C" LIMIT :limit

-- name: create_ranks
-- Creates the temporary table of ranks.
CREATE TEMPORARY TABLE run_ranks (identity_id text, pagerank double precision, community integer) ON COMMIT DROP

-- name: insert_ranks
-- Stores one block of ranks.
INSERT INTO run_ranks (identity_id, pagerank, community)
SELECT identity_id, pagerank, community
FROM unnest(:identity_ids::text[], :pageranks::double precision[], :communities::integer[])
     AS ranked (identity_id, pagerank, community)

-- name: degrees_of_nodes
-- A part of other statements: for each node that has an edge, how many edges it has and the sum of their weights.
SELECT identity_id, count(*) AS degree, sum(weight)::bigint AS strength
FROM (SELECT source AS identity_id, weight FROM graph_edges WHERE workflow_id = :workflow_id
      UNION ALL SELECT target, weight FROM graph_edges WHERE workflow_id = :workflow_id) AS ends
GROUP BY identity_id

-- name: insert_nodes
-- Stores the nodes of a graph with their ranks and degrees.
INSERT INTO graph_nodes (workflow_id, identity_id, pagerank, community, degree, strength)
SELECT :workflow_id, identity_id, pagerank, community, coalesce(degree, 0), coalesce(strength, 0)
FROM run_ranks LEFT JOIN ({degrees_of_nodes}) AS degrees USING (identity_id)

-- name: insert_signatures
-- Stores the signatures of a run's chunks, many chunks in one row. A signature is the sign of each dimension of
-- the vector, one bit for each. bit_send begins with the length in 4 bytes, which is left out.
INSERT INTO chunk_signatures (workflow_id, block, places, signatures)
SELECT :workflow_id, number / {block_chunks},
       string_agg(int8send(position) || int4send(ordinal), '' ORDER BY number),
       string_agg(substring(bit_send(binary_quantize(embedding)) FROM 5), '' ORDER BY number)
FROM (SELECT position, ordinal, embedding, row_number() OVER (ORDER BY position, ordinal) - 1 AS number
      FROM chunks WHERE workflow_id = :workflow_id) numbered
GROUP BY number / {block_chunks}
