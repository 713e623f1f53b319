-- A run that is started again brings its results up to date with its sources, and can say what that took.

ALTER TABLE documents
    ADD COLUMN processed_by text,
    ADD COLUMN seen_epoch bigint NOT NULL DEFAULT 0,
    ADD COLUMN removed_epoch bigint,
    ADD COLUMN cause text NOT NULL DEFAULT 'new';

COMMENT ON COLUMN documents.processed_by IS 'Version of the processing code; results of another one are made again.';
COMMENT ON COLUMN documents.seen_epoch IS 'The last epoch whose discovery found it.';
COMMENT ON COLUMN documents.removed_epoch IS 'The epoch that found it gone from its source, and dropped its results.';
COMMENT ON COLUMN documents.cause IS 'Why it was queued last: new, changed, outdated (other code) or retried.';

ALTER TABLE documents DROP CONSTRAINT known_document_status;
ALTER TABLE documents ADD CONSTRAINT known_document_status
    CHECK (status IN ('pending', 'processed', 'quarantined', 'cancelled', 'removed'));
ALTER TABLE documents ADD CONSTRAINT known_cause CHECK (cause IN ('new', 'changed', 'outdated', 'retried'));
ALTER TABLE documents ADD CONSTRAINT removed_in_an_epoch CHECK ((status = 'removed') = (removed_epoch IS NOT NULL));

CREATE OR REPLACE VIEW run_progress AS
SELECT r.workflow_id, r.status, r.epoch,
       count(d.position) FILTER (WHERE d.status <> 'removed') AS total,
       count(*) FILTER (WHERE d.status = 'processed') AS processed,
       count(*) FILTER (WHERE d.status = 'quarantined') AS quarantined,
       count(*) FILTER (WHERE d.status = 'pending') AS pending,
       round(avg(d.quality_score)::numeric, 3) AS quality_score,
       r.created_at, r.updated_at
FROM runs r LEFT JOIN documents d USING (workflow_id)
GROUP BY r.workflow_id;

CREATE VIEW run_changes AS
SELECT r.workflow_id, r.epoch,
       count(*) FILTER (WHERE d.epoch = r.epoch AND d.cause = 'new') AS added,
       count(*) FILTER (WHERE d.epoch = r.epoch AND d.cause = 'changed') AS changed,
       count(*) FILTER (WHERE d.epoch = r.epoch AND d.cause = 'outdated') AS outdated,
       count(*) FILTER (WHERE d.epoch = r.epoch AND d.cause = 'retried') AS retried,
       count(*) FILTER (WHERE d.removed_epoch = r.epoch) AS removed,
       count(*) FILTER (WHERE d.epoch < r.epoch AND d.status IN ('processed', 'quarantined')) AS unchanged
FROM runs r JOIN documents d USING (workflow_id)
GROUP BY r.workflow_id;

COMMENT ON VIEW run_changes IS 'What the latest start of each run found, compared with what the run had before.';
GRANT SELECT ON run_changes TO perdure_inspector;
