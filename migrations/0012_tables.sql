-- The table mode of analytics: one readable view for each kind of row, with what it refers to beside it.

CREATE FUNCTION instant_of(said text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN said ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$' THEN said::timestamptz
            WHEN said ~ '^\d{4}-\d\d-\d\d$' THEN (said || 'T00:00:00Z')::timestamptz END;

COMMENT ON FUNCTION instant_of IS 'A date as documents say it; where only the day is known, its first moment in UTC.';

CREATE VIEW described_documents AS
SELECT d.workflow_id, d.position, d.uri, d.name, d.status, d.media_type, d.size_bytes, d.sha256, d.title, d.authors,
       d.language, instant_of(d.created) AS created, instant_of(d.modified) AS modified, d.characters,
       nullif(cardinality(t.page_offsets), 0) AS pages, d.chunk_count, d.mention_count,
       s.identity_count, d.quality_score, d.warnings, d.reason, d.error_type, d.committed_at
FROM documents d
LEFT JOIN document_texts t USING (workflow_id, position)
LEFT JOIN document_statistics s USING (workflow_id, position)
WHERE d.status <> 'removed';

CREATE VIEW resolved_mentions AS
SELECT m.workflow_id, m.position, m.ordinal, d.uri, d.name AS document,
       page_of(m.start_offset, t.page_offsets) AS page, m.start_offset, m.end_offset, m.kind, m.surface, m.normalised,
       m.confidence, n.identity_id, i.name AS identity, n.rule, n.score::double precision AS score
FROM mentions m
JOIN documents d USING (workflow_id, position)
JOIN document_texts t USING (workflow_id, position)
LEFT JOIN identity_members n ON n.workflow_id = m.workflow_id AND n.kind = m.kind AND n.normalised = m.normalised
LEFT JOIN identities i ON i.workflow_id = n.workflow_id AND i.identity_id = n.identity_id;

CREATE VIEW ranked_identities AS
SELECT i.workflow_id, i.identity_id, i.kind, i.name, i.normalised, i.mention_count, i.document_count, i.confidence,
       n.pagerank, n.community, n.degree, n.strength
FROM identities i LEFT JOIN graph_nodes n USING (workflow_id, identity_id);

CREATE VIEW named_edges AS
SELECT e.workflow_id, e.source, s.kind AS source_kind, s.name AS source_name,
       e.target, t.kind AS target_kind, t.name AS target_name, e.weight
FROM graph_edges e
JOIN identities s ON s.workflow_id = e.workflow_id AND s.identity_id = e.source
JOIN identities t ON t.workflow_id = e.workflow_id AND t.identity_id = e.target;

COMMENT ON VIEW described_documents IS 'Each document of a run: what it is, what it says of itself, and what was found.';
COMMENT ON VIEW resolved_mentions IS 'Each mention: where it stands, and which identity it means, by which rule.';
COMMENT ON VIEW ranked_identities IS 'Each identity, and its place in the graph of its run.';
COMMENT ON VIEW named_edges IS 'Each pair of identities that share documents, by name; weight counts the documents.';

GRANT SELECT ON described_documents, resolved_mentions, ranked_identities, named_edges TO perdure_inspector;
