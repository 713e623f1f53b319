-- The statements that store the outputs of one document. Each runs inside the transaction that marks it processed.

-- name: insert_text
-- Stores the text of a document and the offsets at which its pages begin.
INSERT INTO document_texts (workflow_id, position, text, page_offsets)
VALUES (:workflow_id, :position, :text, :page_offsets)

-- name: insert_chunks
-- Stores chunks with their embeddings and search terms. The ordinals continue from :first_ordinal. The embeddings come
-- as one array of numbers, :dimensions for each chunk, and not as a type of pgvector. A restored backup creates this
-- type again, and a connection that has cached the old type then fails. This failure must not quarantine a document.
INSERT INTO chunks (workflow_id, position, ordinal, start_offset, end_offset, embedding, terms)
SELECT :workflow_id, :position, :first_ordinal + place - 1, start_offset, end_offset,
       ((:embeddings::real[])[(place - 1) * :dimensions + 1 : place * :dimensions])::vector(256),
       to_tsvector('english', passage)
FROM unnest(:starts::bigint[], :ends::bigint[], :passages::text[])
     WITH ORDINALITY AS chunk (start_offset, end_offset, passage, place)

-- name: insert_tables
-- Stores the tables of a document. COPY cannot be used here: asyncpg has no binary form of jsonb for it.
INSERT INTO document_tables (workflow_id, position, ordinal, start_offset, end_offset, page, cells, cut)
SELECT :workflow_id, :position, ordinal - 1, start_offset, end_offset, page, cells, cut
FROM unnest(:starts::bigint[], :ends::bigint[], :pages::integer[], :cells::jsonb[], :cuts::boolean[])
     WITH ORDINALITY AS given (start_offset, end_offset, page, cells, cut, ordinal)
