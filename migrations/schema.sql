-- The result of all migrations, in one file. `python -m perdure.stores.postgres.schema DSN` writes it.
-- An empty database into which this file is loaded equals a database with all migrations, with their records.

SET check_function_bodies = false;  -- the functions stand before the tables that they name

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['perdure_retention', 'perdure_inspector', 'perdure_rebuild'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
END $$;

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

CREATE FUNCTION public.guard_checkpoint_append() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.instant_of(said text) RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN (said ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$'::text) THEN (said)::timestamp with time zone WHEN (said ~ '^\d{4}-\d\d-\d\d$'::text) THEN ((said || 'T00:00:00Z'::text))::timestamp with time zone ELSE NULL::timestamp with time zone END;

COMMENT ON FUNCTION public.instant_of(said text) IS 'A date as documents say it; where only the day is known, its first moment in UTC.';

CREATE FUNCTION public.keep_rest_of_chain_whole() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.keep_to_the_chain_being_rebuilt() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.page_of(at bigint, page_offsets bigint[]) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (cardinality(page_offsets) > 0) THEN GREATEST(1, width_bucket(at, page_offsets)) ELSE NULL::integer END;

CREATE FUNCTION public.rebuild_checkpoints(wanted text, first_sequence bigint, replacement jsonb) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.refuse_checkpoint_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE TABLE public.document_sections (
    workflow_id text NOT NULL,
    "position" bigint NOT NULL,
    start_offset bigint NOT NULL,
    ordinal integer NOT NULL,
    level integer NOT NULL,
    heading text NOT NULL,
    CONSTRAINT level_from_one CHECK ((level >= 1))
);

CREATE FUNCTION public.section_of(run text, document bigint, at bigint) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT document_sections.heading
    FROM public.document_sections
   WHERE ((document_sections.workflow_id = section_of.run) AND (document_sections."position" = section_of.document) AND (document_sections.start_offset <= section_of.at))
   ORDER BY document_sections.start_offset DESC, document_sections.ordinal DESC
  LIMIT 1;
END;

CREATE FUNCTION public.uri_key(uri text) RETURNS bytea
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN sha256(convert_to(uri, 'UTF8'::name));

COMMENT ON FUNCTION public.uri_key(uri text) IS 'SHA-256 of a URI: what makes a document the only one of its name in a run.';

CREATE TABLE public.workflow_checkpoints (
    checkpoint_id text NOT NULL,
    workflow_id text NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    processed_documents integer NOT NULL,
    state_data jsonb NOT NULL,
    service_states jsonb NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    sequence bigint GENERATED ALWAYS AS (((metadata ->> 'sequence'::text))::bigint) STORED NOT NULL,
    epoch bigint GENERATED ALWAYS AS (((metadata ->> 'epoch'::text))::bigint) STORED NOT NULL,
    digest text GENERATED ALWAYS AS ((metadata ->> 'digest'::text)) STORED NOT NULL,
    previous_digest text GENERATED ALWAYS AS ((metadata ->> 'previous_digest'::text)) STORED NOT NULL,
    CONSTRAINT processed_documents_are_counted CHECK ((processed_documents >= 0)),
    CONSTRAINT sequence_starts_at_one CHECK ((sequence >= 1))
);

CREATE VIEW public.broken_checkpoint_chains AS
 SELECT workflow_id,
    previous_sequence AS after_sequence,
    sequence AS found_sequence
   FROM ( SELECT workflow_checkpoints.workflow_id,
            workflow_checkpoints.sequence,
            workflow_checkpoints.previous_digest,
            lag(workflow_checkpoints.sequence) OVER chain AS previous_sequence,
            lag(workflow_checkpoints.digest) OVER chain AS digest_before
           FROM public.workflow_checkpoints
          WINDOW chain AS (PARTITION BY workflow_checkpoints.workflow_id ORDER BY workflow_checkpoints.sequence)) linked
  WHERE ((previous_sequence IS NOT NULL) AND ((sequence <> (previous_sequence + 1)) OR (previous_digest <> digest_before)));

CREATE VIEW public.checkpoint_history AS
 SELECT workflow_id,
    sequence,
    "timestamp",
    (state_data ->> 'workflow_status'::text) AS workflow_status,
    processed_documents,
    ((state_data ->> 'documents_remaining'::text))::bigint AS documents_remaining,
    ((state_data ->> 'current_quality_score'::text))::numeric AS quality_score,
    ( SELECT string_agg(((services.name || ' '::text) || (services.state ->> 'status'::text)), ', '::text ORDER BY services.name) AS string_agg
           FROM jsonb_each(workflow_checkpoints.service_states) services(name, state)) AS services,
    epoch,
    checkpoint_id,
    created_at
   FROM public.workflow_checkpoints;

CREATE TABLE public.chunk_signatures (
    workflow_id text NOT NULL,
    block integer NOT NULL,
    places bytea NOT NULL,
    signatures bytea NOT NULL
);
ALTER TABLE ONLY public.chunk_signatures ALTER COLUMN places SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.chunk_signatures ALTER COLUMN signatures SET STORAGE EXTERNAL;

COMMENT ON TABLE public.chunk_signatures IS 'What search looks through for passages near in meaning, in runs of many chunks.';

CREATE TABLE public.chunks (
    workflow_id text NOT NULL,
    "position" bigint NOT NULL,
    ordinal integer NOT NULL,
    start_offset bigint NOT NULL,
    end_offset bigint NOT NULL,
    embedding public.vector(256) NOT NULL,
    terms tsvector
);

CREATE TABLE public.document_texts (
    workflow_id text NOT NULL,
    "position" bigint NOT NULL,
    text text NOT NULL,
    page_offsets bigint[] NOT NULL
);

CREATE TABLE public.documents (
    workflow_id text NOT NULL,
    "position" bigint NOT NULL,
    uri text NOT NULL,
    name text NOT NULL,
    source text NOT NULL,
    size_bytes bigint NOT NULL,
    version text NOT NULL,
    read_version text,
    status text DEFAULT 'pending'::text NOT NULL,
    epoch bigint NOT NULL,
    ordinal bigint NOT NULL,
    dispatch bigint DEFAULT 0 NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    media_type text,
    sha256 text,
    quality_score double precision,
    title text,
    properties jsonb,
    characters bigint,
    chunk_count integer,
    mention_count integer,
    warnings text[] DEFAULT '{}'::text[] NOT NULL,
    reason text,
    error_type text,
    committed_at timestamp with time zone,
    authors text[] DEFAULT '{}'::text[] NOT NULL,
    created text,
    modified text,
    language text,
    processed_by text,
    seen_epoch bigint DEFAULT 0 NOT NULL,
    removed_epoch bigint,
    cause text DEFAULT 'new'::text NOT NULL,
    CONSTRAINT known_cause CHECK ((cause = ANY (ARRAY['new'::text, 'changed'::text, 'outdated'::text, 'retried'::text]))),
    CONSTRAINT known_document_status CHECK ((status = ANY (ARRAY['pending'::text, 'processed'::text, 'quarantined'::text, 'cancelled'::text, 'removed'::text]))),
    CONSTRAINT processed_has_its_result CHECK (((status <> 'processed'::text) OR ((sha256 IS NOT NULL) AND (quality_score IS NOT NULL)))),
    CONSTRAINT quality_between_0_and_1 CHECK (((quality_score >= (0)::double precision) AND (quality_score <= (1)::double precision))),
    CONSTRAINT quarantined_has_its_reason CHECK (((status <> 'quarantined'::text) OR ((reason IS NOT NULL) AND (error_type IS NOT NULL)))),
    CONSTRAINT removed_in_an_epoch CHECK (((status = 'removed'::text) = (removed_epoch IS NOT NULL)))
);

COMMENT ON COLUMN public.documents.created IS 'As the document says: YYYY-MM-DDTHH:MM:SSZ, or YYYY-MM-DD where it does not tell the instant.';

COMMENT ON COLUMN public.documents.modified IS 'In the same form as created.';

COMMENT ON COLUMN public.documents.language IS 'ISO 639-1: as declared, else as detected.';

COMMENT ON COLUMN public.documents.processed_by IS 'Version of the processing code; results of another one are made again.';

COMMENT ON COLUMN public.documents.seen_epoch IS 'The last epoch whose discovery found it.';

COMMENT ON COLUMN public.documents.removed_epoch IS 'The epoch that found it gone from its source, and dropped its results.';

COMMENT ON COLUMN public.documents.cause IS 'Why it was queued last: new, changed, outdated (other code) or retried.';

CREATE VIEW public.cited_chunks AS
 SELECT c.workflow_id,
    c."position",
    d.name AS document,
    public.page_of(c.start_offset, t.page_offsets) AS page,
    public.section_of(c.workflow_id, c."position", c.start_offset) AS section,
    c.ordinal,
    c.start_offset,
    c.end_offset,
    substr(t.text, ((c.start_offset)::integer + 1), ((c.end_offset - c.start_offset))::integer) AS passage,
    d.uri
   FROM ((public.chunks c
     JOIN public.document_texts t USING (workflow_id, "position"))
     JOIN public.documents d USING (workflow_id, "position"));

CREATE TABLE public.mentions (
    workflow_id text NOT NULL,
    "position" bigint NOT NULL,
    ordinal integer NOT NULL,
    start_offset bigint NOT NULL,
    end_offset bigint NOT NULL,
    kind text NOT NULL,
    surface text NOT NULL,
    normalised text NOT NULL,
    confidence double precision NOT NULL
);

CREATE VIEW public.cited_mentions AS
 SELECT m.workflow_id,
    m."position",
    d.name AS document,
    public.page_of(m.start_offset, t.page_offsets) AS page,
    public.section_of(m.workflow_id, m."position", m.start_offset) AS section,
    m.start_offset,
    m.end_offset,
    m.kind,
    m.surface,
    m.normalised,
    m.confidence,
    d.uri
   FROM ((public.mentions m
     JOIN public.document_texts t USING (workflow_id, "position"))
     JOIN public.documents d USING (workflow_id, "position"));

CREATE TABLE public.document_statistics (
    workflow_id text NOT NULL,
    "position" bigint NOT NULL,
    characters bigint NOT NULL,
    chunk_count bigint NOT NULL,
    mention_count bigint NOT NULL,
    identity_count bigint NOT NULL,
    kinds jsonb NOT NULL
);

CREATE VIEW public.described_documents AS
 SELECT d.workflow_id,
    d."position",
    d.uri,
    d.name,
    d.status,
    d.media_type,
    d.size_bytes,
    d.sha256,
    d.title,
    d.authors,
    d.language,
    public.instant_of(d.created) AS created,
    public.instant_of(d.modified) AS modified,
    d.characters,
    NULLIF(cardinality(t.page_offsets), 0) AS pages,
    d.chunk_count,
    d.mention_count,
    s.identity_count,
    d.quality_score,
    d.warnings,
    d.reason,
    d.error_type,
    d.committed_at
   FROM ((public.documents d
     LEFT JOIN public.document_texts t USING (workflow_id, "position"))
     LEFT JOIN public.document_statistics s USING (workflow_id, "position"))
  WHERE (d.status <> 'removed'::text);

COMMENT ON VIEW public.described_documents IS 'Each document of a run: what it is, what it says of itself, and what was found.';

CREATE TABLE public.document_parts (
    workflow_id text NOT NULL,
    "position" bigint NOT NULL,
    part_id bigint NOT NULL,
    parts bytea NOT NULL,
    kept_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.document_parts ALTER COLUMN part_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.document_parts_part_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.document_tables (
    workflow_id text NOT NULL,
    "position" bigint NOT NULL,
    ordinal integer NOT NULL,
    start_offset bigint NOT NULL,
    end_offset bigint NOT NULL,
    page integer,
    cells jsonb NOT NULL,
    cut boolean NOT NULL
);

CREATE TABLE public.document_vectors (
    workflow_id text NOT NULL,
    "position" bigint NOT NULL,
    embedding public.vector(256) NOT NULL
);

CREATE VIEW public.failures AS
 SELECT workflow_id,
    "position",
    uri,
    reason,
    error_type,
    attempts,
    committed_at
   FROM public.documents
  WHERE (status = 'quarantined'::text);

CREATE TABLE public.graph_edges (
    workflow_id text NOT NULL,
    source text NOT NULL,
    target text NOT NULL,
    weight bigint NOT NULL,
    CONSTRAINT edges_are_undirected CHECK ((source < target)),
    CONSTRAINT weight_counts_documents CHECK ((weight > 0))
);

CREATE TABLE public.graph_nodes (
    workflow_id text NOT NULL,
    identity_id text NOT NULL,
    pagerank double precision NOT NULL,
    community integer NOT NULL,
    degree bigint NOT NULL,
    strength bigint NOT NULL,
    CONSTRAINT communities_count_from_0 CHECK ((community >= 0)),
    CONSTRAINT pagerank_between_0_and_1 CHECK (((pagerank >= (0)::double precision) AND (pagerank <= (1)::double precision)))
);

CREATE TABLE public.graphs (
    workflow_id text NOT NULL,
    node_count bigint NOT NULL,
    edge_count bigint NOT NULL,
    ranked boolean DEFAULT false NOT NULL
);

CREATE TABLE public.identities (
    workflow_id text NOT NULL,
    identity_id text NOT NULL,
    kind text NOT NULL,
    normalised text NOT NULL,
    name text NOT NULL,
    mention_count bigint NOT NULL,
    document_count bigint NOT NULL,
    confidence double precision DEFAULT 1 NOT NULL,
    CONSTRAINT an_identity_is_mentioned CHECK ((mention_count > 0)),
    CONSTRAINT confidence_between_0_and_1 CHECK (((confidence >= (0)::double precision) AND (confidence <= (1)::double precision)))
);

CREATE TABLE public.identity_aliases (
    workflow_id text NOT NULL,
    identity_id text NOT NULL,
    surface text NOT NULL,
    mention_count bigint NOT NULL,
    rule text DEFAULT 'same_name'::text NOT NULL,
    score numeric(3,2) DEFAULT 1 NOT NULL,
    CONSTRAINT alias_score_between_0_and_1 CHECK (((score >= (0)::numeric) AND (score <= (1)::numeric)))
);

CREATE VIEW public.identities_with_aliases AS
 SELECT workflow_id,
    identity_id,
    kind,
    name,
    confidence,
    mention_count,
    document_count,
    ( SELECT jsonb_agg(jsonb_build_object('surface', a.surface, 'mentions', a.mention_count, 'rule', a.rule, 'score', a.score) ORDER BY a.mention_count DESC, (a.surface COLLATE "C")) AS jsonb_agg
           FROM public.identity_aliases a
          WHERE ((a.workflow_id = i.workflow_id) AND (a.identity_id = i.identity_id))) AS aliases
   FROM public.identities i;

CREATE TABLE public.identity_members (
    workflow_id text NOT NULL,
    kind text NOT NULL,
    normalised text NOT NULL,
    identity_id text NOT NULL,
    rule text NOT NULL,
    score numeric(3,2) NOT NULL,
    CONSTRAINT score_between_0_and_1 CHECK (((score >= (0)::numeric) AND (score <= (1)::numeric)))
);

CREATE VIEW public.identity_mentions AS
 SELECT m.workflow_id,
    m.identity_id,
    i.name,
    o."position",
    d.uri,
    o.start_offset,
    o.end_offset,
    o.surface
   FROM (((public.identity_members m
     JOIN public.identities i USING (workflow_id, identity_id))
     JOIN public.mentions o ON (((o.workflow_id = m.workflow_id) AND (o.kind = m.kind) AND (o.normalised = m.normalised))))
     JOIN public.documents d ON (((d.workflow_id = o.workflow_id) AND (d."position" = o."position"))));

CREATE VIEW public.latest_checkpoints AS
 WITH RECURSIVE ids AS (
         SELECT min(workflow_checkpoints.workflow_id) AS workflow_id
           FROM public.workflow_checkpoints
        UNION ALL
         SELECT ( SELECT min(c.workflow_id) AS min
                   FROM public.workflow_checkpoints c
                  WHERE (c.workflow_id > ids_1.workflow_id)) AS min
           FROM ids ids_1
          WHERE (ids_1.workflow_id IS NOT NULL)
        )
 SELECT latest.checkpoint_id,
    latest.workflow_id,
    latest."timestamp",
    latest.processed_documents,
    latest.state_data,
    latest.service_states,
    latest.metadata,
    latest.created_at,
    latest.sequence,
    latest.epoch,
    latest.digest,
    latest.previous_digest
   FROM (ids
     CROSS JOIN LATERAL ( SELECT c.checkpoint_id,
            c.workflow_id,
            c."timestamp",
            c.processed_documents,
            c.state_data,
            c.service_states,
            c.metadata,
            c.created_at,
            c.sequence,
            c.epoch,
            c.digest,
            c.previous_digest
           FROM public.workflow_checkpoints c
          WHERE (c.workflow_id = ids.workflow_id)
          ORDER BY c.sequence DESC
         LIMIT 1) latest)
  WHERE (ids.workflow_id IS NOT NULL);

CREATE VIEW public.named_edges AS
 SELECT e.workflow_id,
    e.source,
    s.kind AS source_kind,
    s.name AS source_name,
    e.target,
    t.kind AS target_kind,
    t.name AS target_name,
    e.weight
   FROM ((public.graph_edges e
     JOIN public.identities s ON (((s.workflow_id = e.workflow_id) AND (s.identity_id = e.source))))
     JOIN public.identities t ON (((t.workflow_id = e.workflow_id) AND (t.identity_id = e.target))));

COMMENT ON VIEW public.named_edges IS 'Each pair of identities that share documents, by name; weight counts the documents.';

CREATE VIEW public.ranked_identities AS
 SELECT i.workflow_id,
    i.identity_id,
    i.kind,
    i.name,
    i.normalised,
    i.mention_count,
    i.document_count,
    i.confidence,
    n.pagerank,
    n.community,
    n.degree,
    n.strength
   FROM (public.identities i
     LEFT JOIN public.graph_nodes n USING (workflow_id, identity_id));

COMMENT ON VIEW public.ranked_identities IS 'Each identity, and its place in the graph of its run.';

CREATE TABLE public.resolutions (
    workflow_id text NOT NULL,
    epoch bigint NOT NULL,
    ambiguous_mentions bigint DEFAULT 0 NOT NULL,
    CONSTRAINT resolved_in_an_epoch CHECK ((epoch >= 1))
);

CREATE VIEW public.resolved_mentions AS
 SELECT m.workflow_id,
    m."position",
    m.ordinal,
    d.uri,
    d.name AS document,
    public.page_of(m.start_offset, t.page_offsets) AS page,
    m.start_offset,
    m.end_offset,
    m.kind,
    m.surface,
    m.normalised,
    m.confidence,
    n.identity_id,
    i.name AS identity,
    n.rule,
    (n.score)::double precision AS score
   FROM ((((public.mentions m
     JOIN public.documents d USING (workflow_id, "position"))
     JOIN public.document_texts t USING (workflow_id, "position"))
     LEFT JOIN public.identity_members n ON (((n.workflow_id = m.workflow_id) AND (n.kind = m.kind) AND (n.normalised = m.normalised))))
     LEFT JOIN public.identities i ON (((i.workflow_id = n.workflow_id) AND (i.identity_id = n.identity_id))));

COMMENT ON VIEW public.resolved_mentions IS 'Each mention: where it stands, and which identity it means, by which rule.';

CREATE TABLE public.retired_checkpoints (
    workflow_id text NOT NULL,
    up_to_sequence bigint NOT NULL,
    last_digest text NOT NULL,
    checkpoints bigint NOT NULL,
    retired_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT something_was_retired CHECK ((up_to_sequence >= 1))
);

CREATE VIEW public.run_changes AS
SELECT
    NULL::text AS workflow_id,
    NULL::bigint AS epoch,
    NULL::bigint AS added,
    NULL::bigint AS changed,
    NULL::bigint AS outdated,
    NULL::bigint AS retried,
    NULL::bigint AS removed,
    NULL::bigint AS unchanged;

COMMENT ON VIEW public.run_changes IS 'What the latest start of each run found, compared with what the run had before.';

CREATE TABLE public.run_epochs (
    workflow_id text NOT NULL,
    first_run_id text NOT NULL,
    epoch bigint NOT NULL,
    claimed_at timestamp with time zone DEFAULT now() NOT NULL,
    total bigint,
    queued_bytes bigint
);

COMMENT ON COLUMN public.run_epochs.total IS 'Documents of the manifest, removed ones left out.';

COMMENT ON COLUMN public.run_epochs.queued_bytes IS 'Sizes of all that was queued in this epoch, as discovery saw them.';

CREATE VIEW public.run_progress AS
SELECT
    NULL::text AS workflow_id,
    NULL::text AS status,
    NULL::bigint AS epoch,
    NULL::bigint AS total,
    NULL::bigint AS processed,
    NULL::bigint AS quarantined,
    NULL::bigint AS pending,
    NULL::numeric AS quality_score,
    NULL::timestamp with time zone AS created_at,
    NULL::timestamp with time zone AS updated_at;

CREATE TABLE public.runs (
    workflow_id text NOT NULL,
    epoch bigint NOT NULL,
    status text DEFAULT 'in_progress'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    forked_from_workflow text,
    forked_from_checkpoint text,
    CONSTRAINT epoch_starts_at_one CHECK ((epoch >= 1)),
    CONSTRAINT forked_from_one_checkpoint CHECK (((forked_from_workflow IS NULL) = (forked_from_checkpoint IS NULL)))
);

CREATE TABLE public.schema_migrations (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE VIEW public.tables_of_contents AS
 SELECT s.workflow_id,
    s."position",
    d.name AS document,
    public.page_of(s.start_offset, t.page_offsets) AS page,
    (repeat('  '::text, (s.level - 1)) || s.heading) AS heading,
    s.level,
    s.start_offset,
    s.ordinal
   FROM ((public.document_sections s
     JOIN public.document_texts t USING (workflow_id, "position"))
     JOIN public.documents d USING (workflow_id, "position"));

ALTER TABLE ONLY public.chunk_signatures
    ADD CONSTRAINT chunk_signatures_pkey PRIMARY KEY (workflow_id, block);

ALTER TABLE ONLY public.chunks
    ADD CONSTRAINT chunks_pkey PRIMARY KEY (workflow_id, "position", ordinal);

ALTER TABLE ONLY public.document_parts
    ADD CONSTRAINT document_parts_pkey PRIMARY KEY (workflow_id, "position", part_id);

ALTER TABLE ONLY public.document_sections
    ADD CONSTRAINT document_sections_pkey PRIMARY KEY (workflow_id, "position", start_offset, ordinal);

ALTER TABLE ONLY public.document_statistics
    ADD CONSTRAINT document_statistics_pkey PRIMARY KEY (workflow_id, "position");

ALTER TABLE ONLY public.document_tables
    ADD CONSTRAINT document_tables_pkey PRIMARY KEY (workflow_id, "position", ordinal);

ALTER TABLE ONLY public.document_texts
    ADD CONSTRAINT document_texts_pkey PRIMARY KEY (workflow_id, "position");

ALTER TABLE ONLY public.document_vectors
    ADD CONSTRAINT document_vectors_pkey PRIMARY KEY (workflow_id, "position");

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (workflow_id, "position");

ALTER TABLE ONLY public.graph_edges
    ADD CONSTRAINT graph_edges_pkey PRIMARY KEY (workflow_id, source, target);

ALTER TABLE ONLY public.graph_nodes
    ADD CONSTRAINT graph_nodes_pkey PRIMARY KEY (workflow_id, identity_id);

ALTER TABLE ONLY public.graphs
    ADD CONSTRAINT graphs_pkey PRIMARY KEY (workflow_id);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (workflow_id, identity_id);

ALTER TABLE ONLY public.identity_aliases
    ADD CONSTRAINT identity_aliases_pkey PRIMARY KEY (workflow_id, identity_id, surface);

ALTER TABLE ONLY public.identity_members
    ADD CONSTRAINT identity_members_pkey PRIMARY KEY (workflow_id, kind, normalised);

ALTER TABLE ONLY public.mentions
    ADD CONSTRAINT mentions_pkey PRIMARY KEY (workflow_id, "position", ordinal);

ALTER TABLE ONLY public.workflow_checkpoints
    ADD CONSTRAINT one_checkpoint_per_sequence UNIQUE (workflow_id, sequence);

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT one_document_per_ordinal UNIQUE (workflow_id, epoch, ordinal);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT one_identity_per_normalised_name UNIQUE (workflow_id, kind, normalised);

ALTER TABLE ONLY public.run_epochs
    ADD CONSTRAINT one_run_per_epoch UNIQUE (workflow_id, epoch);

ALTER TABLE ONLY public.resolutions
    ADD CONSTRAINT resolutions_pkey PRIMARY KEY (workflow_id);

ALTER TABLE ONLY public.retired_checkpoints
    ADD CONSTRAINT retired_checkpoints_pkey PRIMARY KEY (workflow_id, up_to_sequence);

ALTER TABLE ONLY public.run_epochs
    ADD CONSTRAINT run_epochs_pkey PRIMARY KEY (workflow_id, first_run_id);

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (workflow_id);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.workflow_checkpoints
    ADD CONSTRAINT workflow_checkpoints_pkey PRIMARY KEY (checkpoint_id);

CREATE UNIQUE INDEX a_document_once_per_run ON public.documents USING btree (workflow_id, public.uri_key(uri));

CREATE INDEX chunks_by_terms ON public.chunks USING gin (terms);

CREATE INDEX members_of_identity ON public.identity_members USING btree (workflow_id, identity_id);

CREATE INDEX mentions_by_normalised_name ON public.mentions USING btree (workflow_id, kind, normalised);

CREATE INDEX quarantined_and_touched ON public.documents USING btree (workflow_id, "position") WHERE ((status = 'quarantined'::text) AND (version IS DISTINCT FROM read_version));

CREATE INDEX touched_since_read ON public.documents USING btree (workflow_id, "position") WHERE ((status = 'processed'::text) AND (version IS DISTINCT FROM read_version));

CREATE INDEX unfinished_by_epoch ON public.documents USING btree (workflow_id, epoch, "position") WHERE (status = ANY (ARRAY['pending'::text, 'cancelled'::text]));

CREATE OR REPLACE VIEW public.run_changes AS
 SELECT r.workflow_id,
    r.epoch,
    count(*) FILTER (WHERE ((d.epoch = r.epoch) AND (d.cause = 'new'::text))) AS added,
    count(*) FILTER (WHERE ((d.epoch = r.epoch) AND (d.cause = 'changed'::text))) AS changed,
    count(*) FILTER (WHERE ((d.epoch = r.epoch) AND (d.cause = 'outdated'::text))) AS outdated,
    count(*) FILTER (WHERE ((d.epoch = r.epoch) AND (d.cause = 'retried'::text))) AS retried,
    count(*) FILTER (WHERE (d.removed_epoch = r.epoch)) AS removed,
    count(*) FILTER (WHERE ((d.epoch < r.epoch) AND (d.status = ANY (ARRAY['processed'::text, 'quarantined'::text])))) AS unchanged
   FROM (public.runs r
     JOIN public.documents d USING (workflow_id))
  GROUP BY r.workflow_id;

CREATE OR REPLACE VIEW public.run_progress AS
 SELECT r.workflow_id,
    r.status,
    r.epoch,
    count(d."position") FILTER (WHERE (d.status <> 'removed'::text)) AS total,
    count(*) FILTER (WHERE (d.status = 'processed'::text)) AS processed,
    count(*) FILTER (WHERE (d.status = 'quarantined'::text)) AS quarantined,
    count(*) FILTER (WHERE (d.status = 'pending'::text)) AS pending,
    round((avg(d.quality_score))::numeric, 3) AS quality_score,
    r.created_at,
    r.updated_at
   FROM (public.runs r
     LEFT JOIN public.documents d USING (workflow_id))
  GROUP BY r.workflow_id;

CREATE TRIGGER append_follows_the_chain BEFORE INSERT ON public.workflow_checkpoints FOR EACH ROW EXECUTE FUNCTION public.guard_checkpoint_append();

ALTER TABLE public.workflow_checkpoints ENABLE ALWAYS TRIGGER append_follows_the_chain;

CREATE TRIGGER checkpoints_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.workflow_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_checkpoint_change();

ALTER TABLE public.workflow_checkpoints ENABLE ALWAYS TRIGGER checkpoints_are_append_only;

CREATE TRIGGER rebuilding_replaces_the_end AFTER DELETE ON public.workflow_checkpoints REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.keep_to_the_chain_being_rebuilt();

ALTER TABLE public.workflow_checkpoints ENABLE ALWAYS TRIGGER rebuilding_replaces_the_end;

CREATE TRIGGER retention_takes_the_oldest AFTER DELETE ON public.workflow_checkpoints REFERENCING OLD TABLE AS retired FOR EACH STATEMENT WHEN ((CURRENT_USER <> 'perdure_rebuild'::name)) EXECUTE FUNCTION public.keep_rest_of_chain_whole();

ALTER TABLE public.workflow_checkpoints ENABLE ALWAYS TRIGGER retention_takes_the_oldest;

ALTER TABLE ONLY public.chunk_signatures
    ADD CONSTRAINT chunk_signatures_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES public.runs(workflow_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.chunks
    ADD CONSTRAINT chunks_workflow_id_position_fkey FOREIGN KEY (workflow_id, "position") REFERENCES public.document_texts(workflow_id, "position") ON DELETE CASCADE;

ALTER TABLE ONLY public.document_parts
    ADD CONSTRAINT document_parts_workflow_id_position_fkey FOREIGN KEY (workflow_id, "position") REFERENCES public.documents(workflow_id, "position") ON DELETE CASCADE;

ALTER TABLE ONLY public.document_sections
    ADD CONSTRAINT document_sections_workflow_id_position_fkey FOREIGN KEY (workflow_id, "position") REFERENCES public.document_texts(workflow_id, "position") ON DELETE CASCADE;

ALTER TABLE ONLY public.document_statistics
    ADD CONSTRAINT document_statistics_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES public.runs(workflow_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.document_statistics
    ADD CONSTRAINT document_statistics_workflow_id_position_fkey FOREIGN KEY (workflow_id, "position") REFERENCES public.documents(workflow_id, "position") ON DELETE CASCADE;

ALTER TABLE ONLY public.document_tables
    ADD CONSTRAINT document_tables_workflow_id_position_fkey FOREIGN KEY (workflow_id, "position") REFERENCES public.document_texts(workflow_id, "position") ON DELETE CASCADE;

ALTER TABLE ONLY public.document_texts
    ADD CONSTRAINT document_texts_workflow_id_position_fkey FOREIGN KEY (workflow_id, "position") REFERENCES public.documents(workflow_id, "position") ON DELETE CASCADE;

ALTER TABLE ONLY public.document_vectors
    ADD CONSTRAINT document_vectors_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES public.runs(workflow_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.document_vectors
    ADD CONSTRAINT document_vectors_workflow_id_position_fkey FOREIGN KEY (workflow_id, "position") REFERENCES public.documents(workflow_id, "position") ON DELETE CASCADE;

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES public.runs(workflow_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.graph_edges
    ADD CONSTRAINT graph_edges_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES public.graphs(workflow_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.graph_nodes
    ADD CONSTRAINT graph_nodes_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES public.graphs(workflow_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.graphs
    ADD CONSTRAINT graphs_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES public.runs(workflow_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES public.runs(workflow_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.identity_aliases
    ADD CONSTRAINT identity_aliases_workflow_id_identity_id_fkey FOREIGN KEY (workflow_id, identity_id) REFERENCES public.identities(workflow_id, identity_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.identity_members
    ADD CONSTRAINT identity_members_workflow_id_identity_id_fkey FOREIGN KEY (workflow_id, identity_id) REFERENCES public.identities(workflow_id, identity_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.mentions
    ADD CONSTRAINT mentions_workflow_id_position_fkey FOREIGN KEY (workflow_id, "position") REFERENCES public.document_texts(workflow_id, "position") ON DELETE CASCADE;

ALTER TABLE ONLY public.resolutions
    ADD CONSTRAINT resolutions_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES public.runs(workflow_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.run_epochs
    ADD CONSTRAINT run_epochs_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES public.runs(workflow_id) ON DELETE CASCADE;

GRANT USAGE ON SCHEMA public TO perdure_retention;
GRANT USAGE ON SCHEMA public TO perdure_inspector;
GRANT USAGE ON SCHEMA public TO perdure_rebuild;

REVOKE ALL ON FUNCTION public.rebuild_checkpoints(wanted text, first_sequence bigint, replacement jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.rebuild_checkpoints(wanted text, first_sequence bigint, replacement jsonb) TO perdure_rebuild;

GRANT SELECT ON TABLE public.document_sections TO perdure_inspector;

GRANT SELECT,DELETE ON TABLE public.workflow_checkpoints TO perdure_retention;
GRANT SELECT ON TABLE public.workflow_checkpoints TO perdure_inspector;
GRANT SELECT,INSERT,DELETE ON TABLE public.workflow_checkpoints TO perdure_rebuild;

GRANT SELECT ON TABLE public.broken_checkpoint_chains TO perdure_inspector;

GRANT SELECT ON TABLE public.checkpoint_history TO perdure_inspector;

GRANT SELECT ON TABLE public.chunk_signatures TO perdure_inspector;

GRANT SELECT ON TABLE public.chunks TO perdure_inspector;

GRANT SELECT ON TABLE public.document_texts TO perdure_inspector;

GRANT SELECT ON TABLE public.documents TO perdure_inspector;

GRANT SELECT ON TABLE public.cited_chunks TO perdure_inspector;

GRANT SELECT ON TABLE public.mentions TO perdure_inspector;

GRANT SELECT ON TABLE public.cited_mentions TO perdure_inspector;

GRANT SELECT ON TABLE public.document_statistics TO perdure_inspector;

GRANT SELECT ON TABLE public.described_documents TO perdure_inspector;

GRANT SELECT ON TABLE public.document_parts TO perdure_inspector;

GRANT SELECT ON TABLE public.document_tables TO perdure_inspector;

GRANT SELECT ON TABLE public.document_vectors TO perdure_inspector;

GRANT SELECT ON TABLE public.failures TO perdure_inspector;

GRANT SELECT ON TABLE public.graph_edges TO perdure_inspector;

GRANT SELECT ON TABLE public.graph_nodes TO perdure_inspector;

GRANT SELECT ON TABLE public.graphs TO perdure_inspector;

GRANT SELECT ON TABLE public.identities TO perdure_inspector;

GRANT SELECT ON TABLE public.identity_aliases TO perdure_inspector;

GRANT SELECT ON TABLE public.identities_with_aliases TO perdure_inspector;

GRANT SELECT ON TABLE public.identity_members TO perdure_inspector;

GRANT SELECT ON TABLE public.identity_mentions TO perdure_inspector;

GRANT SELECT ON TABLE public.latest_checkpoints TO perdure_inspector;

GRANT SELECT ON TABLE public.named_edges TO perdure_inspector;

GRANT SELECT ON TABLE public.ranked_identities TO perdure_inspector;

GRANT SELECT ON TABLE public.resolutions TO perdure_inspector;

GRANT SELECT ON TABLE public.resolved_mentions TO perdure_inspector;

GRANT SELECT ON TABLE public.retired_checkpoints TO perdure_inspector;

GRANT SELECT ON TABLE public.run_changes TO perdure_inspector;

GRANT SELECT ON TABLE public.run_epochs TO perdure_inspector;

GRANT SELECT ON TABLE public.run_progress TO perdure_inspector;

GRANT SELECT ON TABLE public.runs TO perdure_inspector;

GRANT SELECT ON TABLE public.schema_migrations TO perdure_inspector;

GRANT SELECT ON TABLE public.tables_of_contents TO perdure_inspector;

ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO perdure_inspector;

INSERT INTO public.schema_migrations (name, checksum) VALUES ('0001_documents.sql', '8acf3e7f08e6e61d621df20a8bb64cedef1bb6817e5afdbc084eb9d8fff2db1f');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0002_checkpoints.sql', 'd41655da630b08d71e7fdede2660100ef5ae4f8ae34cfe589d0fe7db1bb355e5');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0003_services.sql', '77ea002c9d75f8161cca295f9d8a7f9320840e5d566d7f3272dbe580a919ad8f');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0004_services_at_scale.sql', 'dad2c50b992da0082768655e1c6fa0c45519a1c884315399ee48008ced36d5f0');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0005_forks_and_retention.sql', '09990b41c5ec8822f91fcd74177c8e89b4fea4cf4b6f872b5a23b0779e90009a');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0006_rebuilding_the_mirror.sql', 'b2af01d0576ba2d5d679ee5a6e9b4178d57c3a268c75bb106a8a56fc40a75a8c');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0007_sources.sql', 'd2a53f20fafc682951db48b419cf71c2b3d5623c4f1f7000ed7f5c6ece137432');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0008_identities.sql', '5e81d8f0be15ad14c89203f201a148e3f5ea9506d530a5b4b3174d149c3473fd');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0009_analytics.sql', '9760667831462b2d44941fcb7d63b544108984bde3530b621e8625a3b02729cd');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0010_search.sql', 'e464c6f0153f4dd1264c5039893586848ebeccfc20d2a561ded5778460363002');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0011_structure.sql', '5efd9cb21110d9124a9164837550a084aa5e380a50019e72ba97ec2a3517331e');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0012_tables.sql', 'e4940ac65c31f17fe2394a6701c9de0688a98591bc4dbcb1e2904d0365b609cf');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0013_incremental_runs.sql', 'e3f0c23c9616f1dea014e7d152ebf82b9251a42e2e897f4c1cd6d49b6b3a0914');
INSERT INTO public.schema_migrations (name, checksum) VALUES ('0014_signatures.sql', '5bcf5d6ed0b23cfefc769cb1801ad8b634a0fac5a66902a22998387195cb09f1');

RESET check_function_bodies;
