"""The statements of a resolution. Its tables are temporary and go with the transaction; argument $1 is the workflow id.

Byte order (`COLLATE "C"`) everywhere: what is made must not depend on the language of the database.
"""

TEMPORARY_TABLES = """
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
"""

SURFACES = """
INSERT INTO run_surfaces
SELECT kind, normalised, surface, count(*) FROM mentions WHERE workflow_id = $1 GROUP BY kind, normalised, surface
"""
NAMES = """
INSERT INTO run_names
SELECT row_number() OVER (ORDER BY kind COLLATE "C", normalised COLLATE "C"), kind, normalised,
       (array_agg(surface ORDER BY mentions DESC, surface COLLATE "C"))[1], sum(mentions)
FROM run_surfaces GROUP BY kind, normalised
"""
NAMES_OF_KIND = "SELECT number, normalised, surface, mentions FROM run_names WHERE kind = $1 ORDER BY number"

ASK = "INSERT INTO run_pairs SELECT * FROM unnest($1::bigint[], $2::bigint[])"
SHARED = """
WITH asked AS MATERIALIZED (SELECT short AS number FROM run_pairs UNION SELECT other FROM run_pairs),
found AS MATERIALIZED (
    SELECT DISTINCT n.number, m.position
    FROM asked JOIN run_names n USING (number) JOIN mentions m USING (kind, normalised)
    WHERE m.workflow_id = $1
)
SELECT p.short, p.other, count(*) AS documents
FROM run_pairs p JOIN found a ON a.number = p.short JOIN found b ON b.number = p.other AND b.position = a.position
GROUP BY p.short, p.other
"""

JOIN = "INSERT INTO run_joins SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::float8[])"
MEMBERS = """
INSERT INTO run_members
SELECT 'idn_' || left(encode(sha256(convert_to(head.kind || E'\\n' || head.normalised, 'UTF8')), 'hex'), 24),
       n.kind, n.normalised, n.mentions, n.number = head.number, coalesce(j.rule, 'same_name'), coalesce(j.score, 1)
FROM run_names n LEFT JOIN run_joins j USING (number)
JOIN run_names head ON head.number = coalesce(j.canonical, n.number)
"""
ALIASES = """
INSERT INTO run_aliases
SELECT m.identity_id, s.surface, sum(s.mentions), (array_agg(rule ORDER BY score DESC, rule COLLATE "C"))[1], max(score)
FROM run_surfaces s JOIN run_members m USING (kind, normalised) GROUP BY m.identity_id, s.surface
"""

STORE_IDENTITIES = """
WITH spread AS (
    SELECT identity_id, count(*) AS documents
    FROM (SELECT DISTINCT n.identity_id, m.position FROM mentions m JOIN run_members n USING (kind, normalised)
          WHERE m.workflow_id = $1) AS present
    GROUP BY identity_id
), weighed AS (
    SELECT identity_id, sum(mentions) AS mentions, round(sum(score * mentions) / sum(mentions), 3) AS confidence
    FROM run_members GROUP BY identity_id
), named AS (
    SELECT DISTINCT ON (identity_id) identity_id, surface
    FROM run_aliases ORDER BY identity_id, mentions DESC, surface COLLATE "C"
)
INSERT INTO identities (workflow_id, identity_id, kind, normalised, name, mention_count, document_count, confidence)
SELECT $1, identity_id, head.kind, head.normalised, named.surface, weighed.mentions, spread.documents,
       weighed.confidence
FROM run_members head JOIN weighed USING (identity_id) JOIN named USING (identity_id) JOIN spread USING (identity_id)
WHERE head.is_head
"""
STORE_MEMBERS = """
INSERT INTO identity_members (workflow_id, kind, normalised, identity_id, rule, score)
SELECT $1, kind, normalised, identity_id, rule, score FROM run_members
"""
STORE_ALIASES = """
INSERT INTO identity_aliases (workflow_id, identity_id, surface, mention_count, rule, score)
SELECT $1, identity_id, surface, mentions, rule, score FROM run_aliases
"""
STORE_RESOLUTION = """
INSERT INTO resolutions (workflow_id, epoch, ambiguous_mentions)
SELECT $1, $2, coalesce(sum(m.mentions), 0)
FROM run_members head JOIN run_members m USING (identity_id) WHERE head.is_head AND head.rule = 'ambiguous'
ON CONFLICT (workflow_id) DO UPDATE SET epoch = excluded.epoch, ambiguous_mentions = excluded.ambiguous_mentions
"""

COUNTS = """
SELECT coalesce(sum(d.mention_count), 0)::bigint AS mentions,
       greatest(coalesce(sum(d.mention_count) FILTER (WHERE d.epoch <= r.epoch), 0)
                - coalesce(max(r.ambiguous_mentions), 0), 0)::bigint AS resolved
FROM documents d LEFT JOIN resolutions r USING (workflow_id)
WHERE d.workflow_id = $1 AND d.status = 'processed'
"""
