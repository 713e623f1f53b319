-- The statements of search: by words with a GIN index, by nearness of vectors, and the passages to show.

-- name: words
-- A part of other statements: the query as the full-text search reads it. With this SELECT, the server
-- parses the query once. Without the SELECT, a prepared statement parses the query for every row.
(SELECT websearch_to_tsquery('english', :query))

-- name: vector
-- A part of other statements: the query's vector, converted once for a query, as in `words`.
(SELECT :vector::real[]::vector(256))

-- name: among
-- A part of other statements: the chunks at the given places.
WITH among AS MATERIALIZED (
    SELECT c.position, c.ordinal, c.terms, c.embedding
    FROM unnest(:positions::bigint[], :ordinals::integer[]) AS wanted (position, ordinal)
    JOIN chunks c ON c.workflow_id = :workflow_id AND c.position = wanted.position AND c.ordinal = wanted.ordinal
)

-- name: find_latest_run
-- Finds the run that was started or resumed last, of those that have chunks to search.
SELECT workflow_id FROM runs r LEFT JOIN run_epochs e USING (workflow_id, epoch)
WHERE EXISTS (SELECT FROM chunks c WHERE c.workflow_id = r.workflow_id)
ORDER BY e.claimed_at DESC NULLS LAST, workflow_id LIMIT 1

-- name: use_indexes
-- Keeps the planner from reading all chunks. With a LIMIT, the planner expects matches among the first chunks, and reads
-- the chunks in their order. If few chunks hold all of several common words, the server then reads all chunks. The index
-- of words needs some milliseconds.
SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off

-- name: find_by_terms
-- Ranks the chunks that hold the words of a query, and counts them. If there are more than :most_matches such chunks,
-- the statement ranks none, and gives one row with the count alone.
WITH matching AS MATERIALIZED (
    SELECT position, ordinal, terms FROM chunks
    WHERE workflow_id = :workflow_id AND terms @@ {words} LIMIT :most_matches + 1
), counted AS MATERIALIZED (SELECT count(*) AS matches FROM matching), ranked AS (
    SELECT position, ordinal FROM matching WHERE (SELECT matches FROM counted) <= :most_matches
    ORDER BY ts_rank_cd(terms, {words}, 1) DESC, position, ordinal LIMIT :count
)
SELECT matches, position, ordinal FROM counted LEFT JOIN ranked ON true

-- name: find_by_terms_among
-- Ranks those of the given chunks that hold the words of a query.
{among}
SELECT position, ordinal FROM among WHERE terms @@ {words}
ORDER BY ts_rank_cd(terms, {words}, 1) DESC, position, ordinal LIMIT :count

-- name: find_nearest
-- Compares the vector of every chunk of a run with the query's.
SELECT position, ordinal FROM chunks WHERE workflow_id = :workflow_id
ORDER BY embedding <=> {vector}, position, ordinal LIMIT :count

-- name: find_nearest_among
-- Compares the vectors of the given chunks with the query's.
{among}
SELECT position, ordinal FROM among ORDER BY embedding <=> {vector}, position, ordinal LIMIT :count

-- name: read_passages
-- Reads the texts and places of the given chunks, in the given order. The marks around matching words are the
-- characters 2 and 3, which are blanked in the text itself.
SELECT d.uri, d.name, d.title, c.start_offset, t.page_offsets,
       ts_headline('english', translate(substring(t.text FROM c.start_offset::integer + 1
                                                  FOR (c.end_offset - c.start_offset)::integer),
                                        E'\x02\x03', '  '),
                   {words}, :headline_options) AS headline
FROM unnest(:positions::bigint[], :ordinals::integer[]) WITH ORDINALITY AS wanted (position, ordinal, place)
JOIN chunks c ON c.workflow_id = :workflow_id AND c.position = wanted.position AND c.ordinal = wanted.ordinal
JOIN document_texts t ON t.workflow_id = :workflow_id AND t.position = c.position
JOIN documents d ON d.workflow_id = :workflow_id AND d.position = c.position
ORDER BY wanted.place
