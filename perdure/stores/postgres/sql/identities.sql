-- The statements of identity resolution. Their tables are temporary and go with the transaction. Every order is byte
-- order (COLLATE "C"): the result must not depend on the language of the database.

-- name: create_tables
-- Creates the temporary tables. The server accepts several statements at once because they have no parameters.
CREATE TEMPORARY TABLE run_surfaces (kind text, normalised text, surface text, mentions bigint) ON COMMIT DROP;
CREATE TEMPORARY TABLE run_names (number bigint, kind text, normalised text, surface text, mentions bigint)
    ON COMMIT DROP;
CREATE TEMPORARY TABLE run_pairs (short bigint, other bigint) ON COMMIT DROP;
CREATE TEMPORARY TABLE run_joins (number bigint, canonical bigint, rule text, score numeric(3, 2)) ON COMMIT DROP;
CREATE TEMPORARY TABLE run_members (
    identity_id text, kind text, normalised text, mentions bigint, is_head boolean, rule text, score numeric(3, 2))
    ON COMMIT DROP;
CREATE TEMPORARY TABLE run_aliases (
    identity_id text, surface text, mentions bigint, rule text, score numeric(3, 2)) ON COMMIT DROP

-- name: collect_surfaces
-- Counts how often each spelling is mentioned in the run.
INSERT INTO run_surfaces (kind, normalised, surface, mentions)
SELECT kind, normalised, surface, count(*)
FROM mentions WHERE workflow_id = :workflow_id GROUP BY kind, normalised, surface

-- name: collect_names
-- Numbers the normalised names, each with its most frequent spelling.
INSERT INTO run_names (number, kind, normalised, surface, mentions)
SELECT row_number() OVER (ORDER BY kind COLLATE "C", normalised COLLATE "C"), kind, normalised,
       (array_agg(surface ORDER BY mentions DESC, surface COLLATE "C"))[1], sum(mentions)
FROM run_surfaces GROUP BY kind, normalised

-- name: list_names_of_kind
-- Lists the names of one kind, for the resolver to compare.
SELECT number, normalised, surface, mentions FROM run_names WHERE kind = :kind ORDER BY number

-- name: insert_pairs
-- Stores the pairs of names for which the resolver needs the number of shared documents.
INSERT INTO run_pairs (short, other)
SELECT short, other FROM unnest(:short::bigint[], :other::bigint[]) AS pair (short, other)

-- name: count_shared_documents
-- Counts the documents that mention both names of a pair.
WITH asked AS MATERIALIZED (SELECT short AS number FROM run_pairs UNION SELECT other FROM run_pairs),
present AS MATERIALIZED (
    SELECT DISTINCT n.number, m.position
    FROM asked JOIN run_names n USING (number) JOIN mentions m USING (kind, normalised)
    WHERE m.workflow_id = :workflow_id
)
SELECT p.short, p.other, count(*) AS documents
FROM run_pairs p JOIN present a ON a.number = p.short JOIN present b ON b.number = p.other AND b.position = a.position
GROUP BY p.short, p.other

-- name: insert_joins
-- Stores which name the resolver joined to which, by which rule and with which score.
INSERT INTO run_joins (number, canonical, rule, score)
SELECT number, canonical, rule, score
FROM unnest(:number::bigint[], :canonical::bigint[], :rule::text[], :score::float8[])
     AS joined (number, canonical, rule, score)

-- name: collect_members
-- Gives each name its identity. The id of an identity is a digest of the kind and name that stands for it.
INSERT INTO run_members (identity_id, kind, normalised, mentions, is_head, rule, score)
SELECT 'idn_' || left(encode(sha256(convert_to(head.kind || E'\n' || head.normalised, 'UTF8')), 'hex'), 24),
       n.kind, n.normalised, n.mentions, n.number = head.number, coalesce(j.rule, 'same_name'), coalesce(j.score, 1)
FROM run_names n LEFT JOIN run_joins j USING (number)
JOIN run_names head ON head.number = coalesce(j.canonical, n.number)

-- name: collect_aliases
-- Gives each spelling its identity.
INSERT INTO run_aliases (identity_id, surface, mentions, rule, score)
SELECT m.identity_id, s.surface, sum(s.mentions), (array_agg(rule ORDER BY score DESC, rule COLLATE "C"))[1], max(score)
FROM run_surfaces s JOIN run_members m USING (kind, normalised) GROUP BY m.identity_id, s.surface

-- name: store_identities
-- Stores the identities with their counts, their most frequent spelling and their confidence.
WITH spread AS (
    SELECT identity_id, count(*) AS documents
    FROM (SELECT DISTINCT n.identity_id, m.position FROM mentions m JOIN run_members n USING (kind, normalised)
          WHERE m.workflow_id = :workflow_id) AS present
    GROUP BY identity_id
), weighed AS (
    SELECT identity_id, sum(mentions) AS mentions, round(sum(score * mentions) / sum(mentions), 3) AS confidence
    FROM run_members GROUP BY identity_id
), named AS (
    SELECT DISTINCT ON (identity_id) identity_id, surface
    FROM run_aliases ORDER BY identity_id, mentions DESC, surface COLLATE "C"
)
INSERT INTO identities (workflow_id, identity_id, kind, normalised, name, mention_count, document_count, confidence)
SELECT :workflow_id, identity_id, head.kind, head.normalised, named.surface, weighed.mentions, spread.documents,
       weighed.confidence
FROM run_members head JOIN weighed USING (identity_id) JOIN named USING (identity_id) JOIN spread USING (identity_id)
WHERE head.is_head

-- name: store_members
-- Stores the names of every identity.
INSERT INTO identity_members (workflow_id, kind, normalised, identity_id, rule, score)
SELECT :workflow_id, kind, normalised, identity_id, rule, score FROM run_members

-- name: store_aliases
-- Stores the spellings of every identity.
INSERT INTO identity_aliases (workflow_id, identity_id, surface, mention_count, rule, score)
SELECT :workflow_id, identity_id, surface, mentions, rule, score FROM run_aliases

-- name: store_resolution
-- Records the epoch in which the run was resolved, and the number of ambiguous mentions.
INSERT INTO resolutions (workflow_id, epoch, ambiguous_mentions)
SELECT :workflow_id, :epoch, coalesce(sum(m.mentions), 0)
FROM run_members head JOIN run_members m USING (identity_id) WHERE head.is_head AND head.rule = 'ambiguous'
ON CONFLICT (workflow_id) DO UPDATE SET epoch = excluded.epoch, ambiguous_mentions = excluded.ambiguous_mentions

-- name: count_resolved_mentions
-- Counts the mentions of a run, and its mentions with a known identity.
SELECT coalesce(sum(d.mention_count), 0)::bigint AS mentions,
       greatest(coalesce(sum(d.mention_count) FILTER (WHERE d.epoch <= r.epoch), 0)
                - coalesce(max(r.ambiguous_mentions), 0), 0)::bigint AS resolved
FROM documents d LEFT JOIN resolutions r USING (workflow_id)
WHERE d.workflow_id = :workflow_id AND d.status = 'processed'
