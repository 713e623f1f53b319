-- The signs of the vectors of large runs instead of an HNSW index: nothing to build, and more of the nearest is found.

DROP TABLE indexed_chunks;

-- A run in blocks of 4,096 chunks in the order of its documents. `places`: position (8 bytes) and ordinal (4 bytes) of
-- each chunk, big-endian; `signatures`: one bit for each dimension of its vector, 1 where it is above zero.
CREATE TABLE chunk_signatures (
    workflow_id text NOT NULL REFERENCES runs ON DELETE CASCADE,
    block integer NOT NULL,
    places bytea NOT NULL,
    signatures bytea NOT NULL,
    PRIMARY KEY (workflow_id, block)
);

-- Bits of vectors do not compress; trying to costs time at each query.
ALTER TABLE chunk_signatures ALTER COLUMN places SET STORAGE EXTERNAL, ALTER COLUMN signatures SET STORAGE EXTERNAL;

COMMENT ON TABLE chunk_signatures IS 'What search looks through for passages near in meaning, in runs of many chunks.';
GRANT SELECT ON chunk_signatures TO perdure_inspector;

INSERT INTO chunk_signatures (workflow_id, block, places, signatures)
SELECT workflow_id, number / 4096, string_agg(int8send(position) || int4send(ordinal), '' ORDER BY number),
       string_agg(substring(bit_send(binary_quantize(embedding)) FROM 5), '' ORDER BY number)
FROM (
    SELECT workflow_id, position, ordinal, embedding,
           row_number() OVER (PARTITION BY workflow_id ORDER BY position, ordinal) - 1 AS number,
           count(*) OVER (PARTITION BY workflow_id) AS chunks
    FROM chunks
) numbered
WHERE chunks > 20000
GROUP BY workflow_id, number / 4096;
