-- What the services need when a run has ten thousand documents and a graph millions of edges.
--
-- Each edge was checked against `identities` twice, by itself: 34 of the 58 seconds that 935,000 edges took. And with no
-- index on `target`, replacing the identities searched all edges once for each of them, which never ended. The checks
-- are not missed: edges are made from `identities` by one statement, under the lock of the run, and a new resolution
-- takes the graph made of the old one away.

ALTER TABLE graph_edges
    DROP CONSTRAINT graph_edges_workflow_id_source_fkey,
    DROP CONSTRAINT graph_edges_workflow_id_target_fkey;

-- The epoch in which a run was last resolved. A document finished in a later epoch has mentions that no identity counts
-- yet; so how much of a run is resolved is known without comparing a million mentions at each checkpoint, and without a
-- clock.
CREATE TABLE resolutions (
    workflow_id  text PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    epoch        bigint NOT NULL CONSTRAINT resolved_in_an_epoch CHECK (epoch >= 1)
);

INSERT INTO resolutions
SELECT workflow_id, epoch FROM runs r
WHERE status IN ('completed', 'completed_with_failures')
  AND EXISTS (SELECT FROM identities i WHERE i.workflow_id = r.workflow_id);
