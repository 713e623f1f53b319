-- A damaged chain of checkpoints can be put right again from history, and in no other way.
--
-- `rebuild_checkpoints` replaces the end of one chain, from the first row that is not as it should be, by what it is
-- given. The rows come in through the same guard as ever, so what it leaves is a chain without a gap. Nobody gets more
-- than that: UPDATE and TRUNCATE stay refused, and the DELETE that it needs is let in for the role perdure_rebuild
-- alone, inside this function, for the one workflow id that it names.

CREATE OR REPLACE FUNCTION refuse_checkpoint_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_user = 'perdure_retention' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' AND current_user = 'perdure_rebuild'
       AND current_setting('perdure.rebuilding', true) IS NOT NULL
       AND current_setting('perdure.rebuilding') <> '' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% on %: checkpoints are append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'checkpoints_are_append_only',
              HINT = 'Only the role perdure_retention deletes, and only the oldest.';
END $$;

-- Retention deletes the oldest of a chain. A rebuilding deletes the newest of the chain that it names.
CREATE FUNCTION keep_to_the_chain_being_rebuilt() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE
    rebuilding text := current_setting('perdure.rebuilding', true);
BEGIN
    IF current_user <> 'perdure_rebuild' THEN
        RETURN NULL;
    END IF;
    -- Ids are made of workflow id and sequence, so a row of the chain is known even if it was given to another run.
    IF EXISTS (SELECT FROM removed
               WHERE workflow_id IS DISTINCT FROM rebuilding
                 AND checkpoint_id IS DISTINCT FROM 'chk_' || left(
                     encode(sha256(convert_to(rebuilding || E'\n' || sequence, 'UTF8')), 'hex'), 24))
       OR EXISTS (SELECT FROM workflow_checkpoints AS kept
                  WHERE kept.workflow_id = rebuilding
                    AND kept.sequence > (SELECT min(sequence) FROM removed)) THEN
        RAISE EXCEPTION 'a rebuilding replaces the end of one chain, and nothing else'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rebuilding_replaces_the_end';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER rebuilding_replaces_the_end AFTER DELETE ON workflow_checkpoints
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION keep_to_the_chain_being_rebuilt();
ALTER TABLE workflow_checkpoints ENABLE ALWAYS TRIGGER rebuilding_replaces_the_end;

DROP TRIGGER retention_takes_the_oldest ON workflow_checkpoints;
CREATE TRIGGER retention_takes_the_oldest AFTER DELETE ON workflow_checkpoints
    REFERENCING OLD TABLE AS retired FOR EACH STATEMENT
    WHEN (current_user <> 'perdure_rebuild') EXECUTE FUNCTION keep_rest_of_chain_whole();
ALTER TABLE workflow_checkpoints ENABLE ALWAYS TRIGGER retention_takes_the_oldest;

-- `replacement`: whole checkpoints as JSON objects, in the order of their sequence. Returns how many are stored now
-- from `first_sequence` on.
CREATE FUNCTION rebuild_checkpoints(wanted text, first_sequence bigint, replacement jsonb) RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    stored bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(wanted, 7234702));  -- as every append does
    PERFORM set_config('perdure.rebuilding', wanted, true), set_config('perdure.restoring', wanted, true);
    DELETE FROM workflow_checkpoints
    WHERE (workflow_id = wanted AND sequence >= first_sequence)
       OR checkpoint_id IN (SELECT one ->> 'checkpoint_id' FROM jsonb_array_elements(replacement) AS given (one));
    INSERT INTO workflow_checkpoints
        (checkpoint_id, workflow_id, "timestamp", processed_documents, state_data, service_states, metadata)
    SELECT one ->> 'checkpoint_id', one ->> 'workflow_id', (one ->> 'timestamp')::timestamptz,
           (one ->> 'processed_documents')::integer, one -> 'state_data', one -> 'service_states', one -> 'metadata'
    FROM jsonb_array_elements(replacement) WITH ORDINALITY AS given (one, place) ORDER BY place;
    PERFORM set_config('perdure.rebuilding', '', true), set_config('perdure.restoring', '', true);
    SELECT count(*) INTO stored FROM workflow_checkpoints WHERE workflow_id = wanted AND sequence >= first_sequence;
    IF stored <> jsonb_array_length(replacement) THEN
        RAISE EXCEPTION 'the rebuilt chain of % has % checkpoints from % on, not %',
                wanted, stored, first_sequence, jsonb_array_length(replacement)
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'rebuilding_replaces_the_end';
    END IF;
    RETURN stored;
END $$;

REVOKE EXECUTE ON FUNCTION rebuild_checkpoints FROM PUBLIC;

DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'perdure_rebuild') THEN
            CREATE ROLE perdure_rebuild NOLOGIN;
        END IF;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN NULL;
        WHEN insufficient_privilege THEN RAISE NOTICE 'the role perdure_rebuild is missing, and is not ours to create';
    END;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'perdure_rebuild') THEN
        GRANT USAGE ON SCHEMA public TO perdure_rebuild;
        GRANT SELECT, INSERT, DELETE ON workflow_checkpoints TO perdure_rebuild;
        GRANT EXECUTE ON FUNCTION rebuild_checkpoints TO perdure_rebuild;
    END IF;
END $$;
