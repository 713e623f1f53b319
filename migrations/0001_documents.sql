-- The manifest of every run, and what processing made of each document.
--
-- A workflow id is one line of work. Each time a run begins it (a start, a resumption) it takes a new *epoch*;
-- rows handed out under an older epoch can no longer be written by whoever holds them. Within an epoch a row is
-- leased by (dispatch, attempt): the workflow numbers its dispatches, the server numbers the attempts of each.
-- A commit needs the lease it was computed under, so a worker that slept through its replacement changes nothing.

CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE runs (
    workflow_id   text PRIMARY KEY,
    epoch         bigint NOT NULL CONSTRAINT epoch_starts_at_one CHECK (epoch >= 1),
    status        text NOT NULL DEFAULT 'in_progress',
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

-- Which Temporal run (the first of its continue-as-new chain) was given which epoch: claiming again gives it back.
CREATE TABLE run_epochs (
    workflow_id   text NOT NULL REFERENCES runs ON DELETE CASCADE,
    first_run_id  text NOT NULL,
    epoch         bigint NOT NULL,
    claimed_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workflow_id, first_run_id),
    CONSTRAINT one_run_per_epoch UNIQUE (workflow_id, epoch)
);

-- One row a document. `position` is its place in the manifest, for good. `ordinal` is its place in the work of an
-- epoch: only what that epoch has to do is numbered, densely from 0, so a batch is always a range of ordinals.
-- `version` is what discovery saw last, `read_version` what it had seen when the document was finished: where they
-- differ, a new epoch compares content. Ordinals of epoch 0 are the positions of rows not queued yet.
-- status: pending -> processed | quarantined | cancelled; back to pending only when a new epoch takes it up again.
CREATE TABLE documents (
    workflow_id    text NOT NULL REFERENCES runs ON DELETE CASCADE,
    position       bigint NOT NULL,
    uri            text NOT NULL,
    name           text NOT NULL,
    source         text NOT NULL,
    size_bytes     bigint NOT NULL,
    version        text NOT NULL,
    read_version   text,
    status         text NOT NULL DEFAULT 'pending'
                   CONSTRAINT known_document_status CHECK (status IN ('pending', 'processed', 'quarantined', 'cancelled')),
    epoch          bigint NOT NULL,
    ordinal        bigint NOT NULL,
    dispatch       bigint NOT NULL DEFAULT 0,
    attempt        integer NOT NULL DEFAULT 0,
    attempts       integer NOT NULL DEFAULT 0,
    media_type     text,
    sha256         text,
    quality_score  double precision CONSTRAINT quality_between_0_and_1 CHECK (quality_score BETWEEN 0 AND 1),
    title          text,
    properties     jsonb,
    characters     bigint,
    chunk_count    integer,
    mention_count  integer,
    warnings       text[] NOT NULL DEFAULT '{}',
    reason         text,
    error_type     text,
    committed_at   timestamptz,
    PRIMARY KEY (workflow_id, position),
    CONSTRAINT a_document_once_per_run UNIQUE (workflow_id, uri),
    CONSTRAINT one_document_per_ordinal UNIQUE (workflow_id, epoch, ordinal),
    CONSTRAINT processed_has_its_result CHECK (status <> 'processed' OR (sha256 IS NOT NULL AND quality_score IS NOT NULL)),
    CONSTRAINT quarantined_has_its_reason CHECK (status <> 'quarantined' OR (reason IS NOT NULL AND error_type IS NOT NULL))
);

-- What a new epoch has to compare is found without reading the whole manifest.
CREATE INDEX touched_since_read ON documents (workflow_id, position)
    WHERE status = 'processed' AND version IS DISTINCT FROM read_version;

CREATE TABLE document_texts (
    workflow_id   text NOT NULL,
    position      bigint NOT NULL,
    text          text NOT NULL,
    page_offsets  bigint[] NOT NULL,
    PRIMARY KEY (workflow_id, position),
    FOREIGN KEY (workflow_id, position) REFERENCES documents ON DELETE CASCADE
);

CREATE TABLE chunks (
    workflow_id   text NOT NULL,
    position      bigint NOT NULL,
    ordinal       integer NOT NULL,
    start_offset  bigint NOT NULL,
    end_offset    bigint NOT NULL,
    embedding     vector(256) NOT NULL,
    PRIMARY KEY (workflow_id, position, ordinal),
    FOREIGN KEY (workflow_id, position) REFERENCES document_texts ON DELETE CASCADE
);

CREATE TABLE mentions (
    workflow_id   text NOT NULL,
    position      bigint NOT NULL,
    ordinal       integer NOT NULL,
    start_offset  bigint NOT NULL,
    end_offset    bigint NOT NULL,
    kind          text NOT NULL,
    surface       text NOT NULL,
    normalised    text NOT NULL,
    confidence    double precision NOT NULL,
    PRIMARY KEY (workflow_id, position, ordinal),
    FOREIGN KEY (workflow_id, position) REFERENCES document_texts ON DELETE CASCADE
);

CREATE VIEW failures AS
SELECT workflow_id, position, uri, reason, error_type, attempts, committed_at
FROM documents WHERE status = 'quarantined';

CREATE VIEW run_progress AS
SELECT r.workflow_id, r.status, r.epoch,
       count(d.position) AS total,
       count(*) FILTER (WHERE d.status = 'processed') AS processed,
       count(*) FILTER (WHERE d.status = 'quarantined') AS quarantined,
       count(*) FILTER (WHERE d.status = 'pending') AS pending,
       round(avg(d.quality_score)::numeric, 3) AS quality_score,
       r.created_at, r.updated_at
FROM runs r LEFT JOIN documents d USING (workflow_id)
GROUP BY r.workflow_id;
