-- The statements that answer questions about the identities of a run.

-- name: entity
-- A part of other statements: an identity with its rank in the graph.
SELECT i.identity_id, i.kind, i.name, i.mention_count, i.document_count, i.confidence, n.pagerank, n.community
FROM identities i LEFT JOIN graph_nodes n USING (workflow_id, identity_id) WHERE workflow_id = :workflow_id

-- name: by_rank
-- A part of other statements: the order of identities.
ORDER BY n.pagerank DESC NULLS LAST, i.mention_count DESC, i.identity_id COLLATE "C" LIMIT :limit

-- name: list_ranked
-- Lists the identities of a run by PageRank. With :kind NULL it lists every kind.
{entity} AND (:kind::text IS NULL OR i.kind = :kind)
{by_rank}

-- name: list_named
-- Lists the identities that have a spelling, by PageRank. Letters are compared without their case and accents.
{entity} AND identity_id IN (
    SELECT identity_id FROM identity_aliases
    WHERE workflow_id = :workflow_id
      AND lower(regexp_replace(normalize(surface, NFD), '[\u0300-\u036f]', '', 'g'))
          = lower(regexp_replace(normalize(:name, NFD), '[\u0300-\u036f]', '', 'g')))
{by_rank}

-- name: list_aliases
-- Lists the spellings of an identity, the most frequent first.
SELECT surface, mention_count, rule, score::double precision FROM identity_aliases
WHERE workflow_id = :workflow_id AND identity_id = :identity_id
ORDER BY mention_count DESC, surface COLLATE "C" LIMIT :limit

-- name: list_related
-- Lists the identities that share the most documents with an identity.
SELECT i.kind, i.name, e.weight
FROM (SELECT target AS identity_id, weight FROM graph_edges WHERE workflow_id = :workflow_id AND source = :identity_id
      UNION ALL
      SELECT source, weight FROM graph_edges WHERE workflow_id = :workflow_id AND target = :identity_id) AS e
JOIN identities i ON i.workflow_id = :workflow_id AND i.identity_id = e.identity_id
ORDER BY e.weight DESC, i.name COLLATE "C", i.identity_id COLLATE "C" LIMIT :limit

-- name: list_mentioned
-- Lists the places that mention an identity, each with :around characters of text on either side.
SELECT c.document, c.uri, c.page, c.start_offset, c.end_offset, greatest(c.start_offset - :around, 0) AS first,
       substr(t.text, greatest(c.start_offset - :around, 0)::integer + 1,
              (c.end_offset + :around - greatest(c.start_offset - :around, 0))::integer) AS snippet
FROM identity_members m JOIN cited_mentions c USING (workflow_id, kind, normalised)
JOIN document_texts t USING (workflow_id, position)
WHERE workflow_id = :workflow_id AND m.identity_id = :identity_id
ORDER BY c.position, c.start_offset LIMIT :limit
