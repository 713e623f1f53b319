-- Documents come from anywhere, under names of any length, and adding some to an open run costs what is added.

-- An index entry holds 2,600 bytes at the most, and an encoded path may be longer: its hash stands for it.
CREATE FUNCTION uri_key(uri text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN pg_catalog.sha256(pg_catalog.convert_to(uri, 'UTF8'));

COMMENT ON FUNCTION uri_key(text) IS 'SHA-256 of a URI: what makes a document the only one of its name in a run.';

ALTER TABLE documents DROP CONSTRAINT a_document_once_per_run;
CREATE UNIQUE INDEX a_document_once_per_run ON documents (workflow_id, uri_key(uri));

-- What an epoch has not taken up yet is found without reading the whole manifest.
CREATE INDEX unfinished_by_epoch ON documents (workflow_id, epoch, position) WHERE status IN ('pending', 'cancelled');
CREATE INDEX quarantined_and_touched ON documents (workflow_id, position)
    WHERE status = 'quarantined' AND version IS DISTINCT FROM read_version;

-- What an epoch counts in its queue, kept as documents are added; NULL until its manifest was counted once.
ALTER TABLE run_epochs ADD COLUMN total bigint, ADD COLUMN queued_bytes bigint;
COMMENT ON COLUMN run_epochs.total IS 'Documents of the manifest, removed ones left out.';
COMMENT ON COLUMN run_epochs.queued_bytes IS 'Sizes of all that was queued in this epoch, as discovery saw them.';
