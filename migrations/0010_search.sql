-- Search: every chunk knows its words, and the chunks of large runs stand in an index of their vectors.

-- The words of the chunk, stemmed; its text itself is a part of the document's.
ALTER TABLE chunks ADD COLUMN terms tsvector;

UPDATE chunks c
SET terms = to_tsvector('english', substring(t.text FROM c.start_offset::integer + 1
                                             FOR (c.end_offset - c.start_offset)::integer))
FROM document_texts t
WHERE t.workflow_id = c.workflow_id AND t.position = c.position;

CREATE INDEX chunks_by_terms ON chunks USING gin (terms);

-- Of runs with so many chunks that comparing a query with each one takes too long. Half precision: half the size, and
-- the order of the nearest is made from the full vectors afterwards.
CREATE TABLE indexed_chunks (
    workflow_id text NOT NULL,
    position bigint NOT NULL,
    ordinal integer NOT NULL,
    embedding halfvec(256) NOT NULL,
    PRIMARY KEY (workflow_id, position, ordinal),
    FOREIGN KEY (workflow_id, position, ordinal) REFERENCES chunks ON DELETE CASCADE
);

CREATE INDEX indexed_chunks_by_nearness ON indexed_chunks
    USING hnsw (embedding halfvec_cosine_ops) WITH (m = 8, ef_construction = 32);
