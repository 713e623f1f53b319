-- The mirror of every run's checkpoints, for everyone who would rather ask SQL.
--
-- Checkpoints of a workflow id form a chain: the sequence counts from 1 without a gap, each names the digest of the
-- one before it. The database itself keeps it so. An insert is let in only as the next of its chain, by a writer that
-- has not been replaced; writers of one workflow id wait for each other. Nothing is ever changed afterwards, by nobody:
-- UPDATE, DELETE and TRUNCATE are refused to the table's owner and to superusers too, and since the triggers are
-- ENABLE ALWAYS, session_replication_role does not get past them. Only the role perdure_retention deletes, and only
-- the oldest checkpoints of a chain, so that what is left has no gap.
--
-- Each refusal carries the name of what it protects as its constraint:
--   checkpoints_follow_without_gap, latest_epoch_writes, one_content_per_checkpoint, checkpoints_are_append_only,
--   retention_takes_the_oldest.

CREATE TABLE workflow_checkpoints (
    checkpoint_id        text PRIMARY KEY,
    workflow_id          text NOT NULL,
    "timestamp"          timestamptz NOT NULL,
    processed_documents  integer NOT NULL CONSTRAINT processed_documents_are_counted CHECK (processed_documents >= 0),
    state_data           jsonb NOT NULL,
    service_states       jsonb NOT NULL,
    metadata             jsonb NOT NULL,
    created_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What ordering and fencing need, taken from the metadata so that the two can never differ.
    sequence             bigint NOT NULL GENERATED ALWAYS AS ((metadata ->> 'sequence')::bigint) STORED
                         CONSTRAINT sequence_starts_at_one CHECK (sequence >= 1),
    epoch                bigint NOT NULL GENERATED ALWAYS AS ((metadata ->> 'epoch')::bigint) STORED,
    digest               text NOT NULL GENERATED ALWAYS AS (metadata ->> 'digest') STORED,
    previous_digest      text NOT NULL GENERATED ALWAYS AS (metadata ->> 'previous_digest') STORED,
    CONSTRAINT one_checkpoint_per_sequence UNIQUE (workflow_id, sequence)
);

-- Generated columns are filled in after BEFORE triggers, so the guard reads the metadata itself.
-- A setting `perdure.restoring` = the workflow id lets older epochs be copied back from another store in their order,
-- although a newer run has begun; it opens nothing else, and the chain's own epochs still may not fall.
CREATE FUNCTION guard_checkpoint_append() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    stored        workflow_checkpoints;
    latest        workflow_checkpoints;
    new_sequence  bigint := (NEW.metadata ->> 'sequence')::bigint;
    new_epoch     bigint := (NEW.metadata ->> 'epoch')::bigint;
    run_epoch     bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.workflow_id, 7234702));

    SELECT * INTO stored FROM workflow_checkpoints WHERE checkpoint_id = NEW.checkpoint_id;
    IF FOUND THEN
        IF (stored.workflow_id, stored."timestamp", stored.processed_documents)
               = (NEW.workflow_id, NEW."timestamp", NEW.processed_documents)
           AND (stored.state_data, stored.service_states, stored.metadata)
               = (NEW.state_data, NEW.service_states, NEW.metadata) THEN
            RETURN NULL;  -- the very same one again: nothing to do
        END IF;
        RAISE EXCEPTION 'the checkpoint % is stored with other content', NEW.checkpoint_id
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'one_content_per_checkpoint';
    END IF;

    SELECT * INTO latest FROM workflow_checkpoints
    WHERE workflow_id = NEW.workflow_id ORDER BY sequence DESC LIMIT 1;

    IF current_setting('perdure.restoring', true) IS DISTINCT FROM NEW.workflow_id THEN
        -- Waits for a run that is taking its epoch just now, and keeps the next one waiting until this commits.
        SELECT epoch INTO run_epoch FROM runs WHERE workflow_id = NEW.workflow_id FOR SHARE;
    END IF;
    IF new_epoch < greatest(latest.epoch, run_epoch) THEN
        RAISE EXCEPTION 'epoch % of % was replaced by epoch %',
                new_epoch, NEW.workflow_id, greatest(latest.epoch, run_epoch)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'latest_epoch_writes';
    END IF;

    -- An empty chain begins anywhere: older checkpoints may have been retired.
    IF latest.checkpoint_id IS NOT NULL
       AND (new_sequence IS DISTINCT FROM latest.sequence + 1
            OR NEW.metadata ->> 'previous_digest' IS DISTINCT FROM latest.digest) THEN
        RAISE EXCEPTION 'checkpoint % of % does not follow checkpoint %, the latest stored',
                new_sequence, NEW.workflow_id, latest.sequence
            USING ERRCODE = 'check_violation', CONSTRAINT = 'checkpoints_follow_without_gap';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION refuse_checkpoint_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_user = 'perdure_retention' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% on %: checkpoints are append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'checkpoints_are_append_only',
              HINT = 'Only the role perdure_retention deletes, and only the oldest.';
END $$;

CREATE FUNCTION keep_rest_of_chain_whole() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    broken text;
BEGIN
    SELECT workflow_id INTO broken
    FROM (SELECT workflow_id, max(sequence) AS newest FROM retired GROUP BY workflow_id) AS gone
    WHERE EXISTS (SELECT FROM workflow_checkpoints AS kept
                  WHERE kept.workflow_id = gone.workflow_id AND kept.sequence < gone.newest)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'this would leave a gap in the checkpoints of %', broken
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'retention_takes_the_oldest';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER append_follows_the_chain BEFORE INSERT ON workflow_checkpoints
    FOR EACH ROW EXECUTE FUNCTION guard_checkpoint_append();
CREATE TRIGGER checkpoints_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON workflow_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_checkpoint_change();
CREATE TRIGGER retention_takes_the_oldest AFTER DELETE ON workflow_checkpoints
    REFERENCING OLD TABLE AS retired FOR EACH STATEMENT EXECUTE FUNCTION keep_rest_of_chain_whole();
ALTER TABLE workflow_checkpoints ENABLE ALWAYS TRIGGER append_follows_the_chain;
ALTER TABLE workflow_checkpoints ENABLE ALWAYS TRIGGER checkpoints_are_append_only;
ALTER TABLE workflow_checkpoints ENABLE ALWAYS TRIGGER retention_takes_the_oldest;

-- The latest checkpoint of each run, found by one step in the index for each.
CREATE VIEW latest_checkpoints AS
WITH RECURSIVE ids AS (
    (SELECT min(workflow_id) AS workflow_id FROM workflow_checkpoints)
    UNION ALL
    SELECT (SELECT min(workflow_id) FROM workflow_checkpoints c WHERE c.workflow_id > ids.workflow_id)
    FROM ids WHERE ids.workflow_id IS NOT NULL
)
SELECT latest.*
FROM ids CROSS JOIN LATERAL (
    SELECT * FROM workflow_checkpoints c WHERE c.workflow_id = ids.workflow_id ORDER BY sequence DESC LIMIT 1
) AS latest
WHERE ids.workflow_id IS NOT NULL;

-- Each checkpoint of each run as a line that reads by itself: what was done when, and how the services felt.
CREATE VIEW checkpoint_history AS
SELECT workflow_id, sequence, "timestamp",
       state_data ->> 'workflow_status' AS workflow_status,
       processed_documents,
       (state_data ->> 'documents_remaining')::bigint AS documents_remaining,
       (state_data ->> 'current_quality_score')::numeric AS quality_score,
       (SELECT string_agg(name || ' ' || (state ->> 'status'), ', ' ORDER BY name)
        FROM jsonb_each(service_states) AS services (name, state)) AS services,
       epoch, checkpoint_id, created_at
FROM workflow_checkpoints;

-- Sequences that are missing inside a chain, or that do not name the digest before them: empty unless somebody got
-- past the guards above.
CREATE VIEW broken_checkpoint_chains AS
SELECT workflow_id, previous_sequence AS after_sequence, sequence AS found_sequence
FROM (SELECT workflow_id, sequence, previous_digest,
             lag(sequence) OVER chain AS previous_sequence, lag(digest) OVER chain AS digest_before
      FROM workflow_checkpoints WINDOW chain AS (PARTITION BY workflow_id ORDER BY sequence)) AS linked
WHERE previous_sequence IS NOT NULL
  AND (sequence <> previous_sequence + 1 OR previous_digest <> digest_before);

-- Roles belong to the whole server: they may be there already, be made by a neighbour database at this very moment,
-- or be for somebody else to make. Without them everything works but retention and inspection.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['perdure_retention', 'perdure_inspector'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN RAISE NOTICE 'the role % is missing, and is not ours to create', wanted;
        END;
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'perdure_retention') THEN
        GRANT USAGE ON SCHEMA public TO perdure_retention;
        GRANT SELECT, DELETE ON workflow_checkpoints TO perdure_retention;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'perdure_inspector') THEN
        GRANT USAGE ON SCHEMA public TO perdure_inspector;
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO perdure_inspector;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO perdure_inspector;
    END IF;
END $$;
