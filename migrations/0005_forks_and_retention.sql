-- Where a run was forked from, and which checkpoints retention has taken.

-- A fork begins with a copy of what another run had at one of its checkpoints. The two columns are set in the
-- transaction that copies, so a fork that was interrupted can be told from a run that has nothing to do with it.
ALTER TABLE runs
    ADD COLUMN forked_from_workflow    text,
    ADD COLUMN forked_from_checkpoint  text,
    ADD CONSTRAINT forked_from_one_checkpoint
        CHECK ((forked_from_workflow IS NULL) = (forked_from_checkpoint IS NULL));

-- Written in the transaction that deletes: an auditor can tell what was retired from what somebody took away. The digest
-- is that of the newest retired checkpoint, which the oldest one kept names as the one before it.
CREATE TABLE retired_checkpoints (
    workflow_id     text NOT NULL,
    up_to_sequence  bigint NOT NULL CONSTRAINT something_was_retired CHECK (up_to_sequence >= 1),
    last_digest     text NOT NULL,
    checkpoints     bigint NOT NULL,
    retired_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workflow_id, up_to_sequence)
);

-- What retention leaves of a chain has no gap, and is never empty: the latest checkpoint is what a run resumes from.
CREATE OR REPLACE FUNCTION keep_rest_of_chain_whole() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
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
    SELECT workflow_id INTO broken FROM retired AS gone
    WHERE NOT EXISTS (SELECT FROM workflow_checkpoints AS kept WHERE kept.workflow_id = gone.workflow_id)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'this would leave no checkpoint of %', broken
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'retention_keeps_the_latest';
    END IF;
    RETURN NULL;
END $$;
