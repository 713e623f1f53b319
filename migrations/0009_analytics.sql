-- What an identity is in its run's graph. A graph that was made before has no nodes, and is not `ranked`: they come
-- with the next epoch.
ALTER TABLE graphs ADD COLUMN ranked boolean NOT NULL DEFAULT false;

-- No foreign key leads to identities: it would be checked row by row, and who deletes identities deletes the graph.
CREATE TABLE graph_nodes (
    workflow_id  text NOT NULL REFERENCES graphs ON DELETE CASCADE,
    identity_id  text NOT NULL,
    pagerank     double precision NOT NULL CONSTRAINT pagerank_between_0_and_1 CHECK (pagerank BETWEEN 0 AND 1),
    community    integer NOT NULL CONSTRAINT communities_count_from_0 CHECK (community >= 0),
    degree       bigint NOT NULL,
    strength     bigint NOT NULL,
    PRIMARY KEY (workflow_id, identity_id)
);
