-- An identity has members: the distinct names (kind and normalised form) that lead to it, each with the rule that
-- joined it to the identity's own name and how sure that is. A mention finds its identity by its name.

ALTER TABLE identities
    ADD COLUMN confidence double precision NOT NULL DEFAULT 1
        CONSTRAINT confidence_between_0_and_1 CHECK (confidence BETWEEN 0 AND 1);

CREATE TABLE identity_members (
    workflow_id  text NOT NULL,
    kind         text NOT NULL,
    normalised   text NOT NULL,
    identity_id  text NOT NULL,
    rule         text NOT NULL,
    score        numeric(3, 2) NOT NULL CONSTRAINT score_between_0_and_1 CHECK (score BETWEEN 0 AND 1),
    PRIMARY KEY (workflow_id, kind, normalised),
    FOREIGN KEY (workflow_id, identity_id) REFERENCES identities ON DELETE CASCADE
);

CREATE INDEX members_of_identity ON identity_members (workflow_id, identity_id);

INSERT INTO identity_members
SELECT workflow_id, kind, normalised, identity_id, 'same_name', 1 FROM identities;

-- Which rule brought a spelling to its identity, and how sure that is.
ALTER TABLE identity_aliases
    ADD COLUMN rule   text NOT NULL DEFAULT 'same_name',
    ADD COLUMN score  numeric(3, 2) NOT NULL DEFAULT 1
        CONSTRAINT alias_score_between_0_and_1 CHECK (score BETWEEN 0 AND 1);

-- Mentions of names that may mean several identities: they have one, of their own, but are not resolved.
ALTER TABLE resolutions
    ADD COLUMN ambiguous_mentions bigint NOT NULL DEFAULT 0;

CREATE VIEW identities_with_aliases AS
SELECT i.workflow_id, i.identity_id, i.kind, i.name, i.confidence, i.mention_count, i.document_count,
       (SELECT jsonb_agg(jsonb_build_object('surface', a.surface, 'mentions', a.mention_count, 'rule', a.rule,
                                            'score', a.score) ORDER BY a.mention_count DESC, a.surface COLLATE "C")
        FROM identity_aliases a
        WHERE a.workflow_id = i.workflow_id AND a.identity_id = i.identity_id) AS aliases
FROM identities i;

CREATE VIEW identity_mentions AS
SELECT m.workflow_id, m.identity_id, i.name, o.position, d.uri, o.start_offset, o.end_offset, o.surface
FROM identity_members m
JOIN identities i USING (workflow_id, identity_id)
JOIN mentions o ON o.workflow_id = m.workflow_id AND o.kind = m.kind AND o.normalised = m.normalised
JOIN documents d ON d.workflow_id = o.workflow_id AND d.position = o.position;
