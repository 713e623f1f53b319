-- What a document says of itself, and how it is built: so that whatever is found in it can be cited.

ALTER TABLE documents
    ADD COLUMN authors   text[] NOT NULL DEFAULT '{}',
    ADD COLUMN created   text,
    ADD COLUMN modified  text,
    ADD COLUMN language  text;

COMMENT ON COLUMN documents.created IS
    'As the document says: YYYY-MM-DDTHH:MM:SSZ, or YYYY-MM-DD where it does not tell the instant.';
COMMENT ON COLUMN documents.modified IS 'In the same form as created.';
COMMENT ON COLUMN documents.language IS 'ISO 639-1: as declared, else as detected.';

-- Headings by where they stand; the key finds the one that stands last before an offset.
CREATE TABLE document_sections (
    workflow_id   text NOT NULL,
    position      bigint NOT NULL,
    start_offset  bigint NOT NULL,
    ordinal       integer NOT NULL,
    level         integer NOT NULL CONSTRAINT level_from_one CHECK (level >= 1),
    heading       text NOT NULL,
    PRIMARY KEY (workflow_id, position, start_offset, ordinal),
    FOREIGN KEY (workflow_id, position) REFERENCES document_texts ON DELETE CASCADE
);

-- `cells` is an array of rows, each an array of texts; `cut` says that bounds left some out. The text has them all.
CREATE TABLE document_tables (
    workflow_id   text NOT NULL,
    position      bigint NOT NULL,
    ordinal       integer NOT NULL,
    start_offset  bigint NOT NULL,
    end_offset    bigint NOT NULL,
    page          integer,
    cells         jsonb NOT NULL,
    cut           boolean NOT NULL,
    PRIMARY KEY (workflow_id, position, ordinal),
    FOREIGN KEY (workflow_id, position) REFERENCES document_texts ON DELETE CASCADE
);

-- What is finished of documents that take long, for whoever takes over from a worker that dies. Written under the lease,
-- gone with the transaction that gives the document its result.
CREATE TABLE document_parts (
    workflow_id   text NOT NULL,
    position      bigint NOT NULL,
    part_id       bigint GENERATED ALWAYS AS IDENTITY,
    parts         bytea NOT NULL,
    kept_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workflow_id, position, part_id),
    FOREIGN KEY (workflow_id, position) REFERENCES documents ON DELETE CASCADE
);

-- Page, slide or sheet of an offset, from 1; NULL if the format has none.
CREATE FUNCTION page_of(at bigint, page_offsets bigint[]) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN cardinality(page_offsets) > 0 THEN greatest(1, width_bucket(at, page_offsets)) END;

-- The heading that stands last before an offset, or at it; NULL before the first.
CREATE FUNCTION section_of(run text, document bigint, at bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT heading FROM document_sections
    WHERE workflow_id = run AND position = document AND start_offset <= at
    ORDER BY start_offset DESC, ordinal DESC LIMIT 1;
END;

CREATE VIEW cited_mentions AS
SELECT m.workflow_id, m.position, d.name AS document, page_of(m.start_offset, t.page_offsets) AS page,
       section_of(m.workflow_id, m.position, m.start_offset) AS section,
       m.start_offset, m.end_offset, m.kind, m.surface, m.normalised, m.confidence, d.uri
FROM mentions m
JOIN document_texts t USING (workflow_id, position)
JOIN documents d USING (workflow_id, position);

CREATE VIEW cited_chunks AS
SELECT c.workflow_id, c.position, d.name AS document, page_of(c.start_offset, t.page_offsets) AS page,
       section_of(c.workflow_id, c.position, c.start_offset) AS section, c.ordinal, c.start_offset, c.end_offset,
       substr(t.text, c.start_offset::integer + 1, (c.end_offset - c.start_offset)::integer) AS passage, d.uri
FROM chunks c
JOIN document_texts t USING (workflow_id, position)
JOIN documents d USING (workflow_id, position);

-- A document's headings in order, indented by their level.
CREATE VIEW tables_of_contents AS
SELECT s.workflow_id, s.position, d.name AS document, page_of(s.start_offset, t.page_offsets) AS page,
       repeat('  ', s.level - 1) || s.heading AS heading, s.level, s.start_offset, s.ordinal
FROM document_sections s
JOIN document_texts t USING (workflow_id, position)
JOIN documents d USING (workflow_id, position);
