-- What the services make of a run once its documents are done. All of it can be made again from `mentions` and
-- `chunks`, gives the same each time, and is replaced as a whole.

CREATE TABLE identities (
    workflow_id     text NOT NULL REFERENCES runs ON DELETE CASCADE,
    identity_id     text NOT NULL,
    kind            text NOT NULL,
    normalised      text NOT NULL,
    name            text NOT NULL,
    mention_count   bigint NOT NULL CONSTRAINT an_identity_is_mentioned CHECK (mention_count > 0),
    document_count  bigint NOT NULL,
    PRIMARY KEY (workflow_id, identity_id),
    CONSTRAINT one_identity_per_normalised_name UNIQUE (workflow_id, kind, normalised)
);

-- Every spelling under which an identity stands in the documents.
CREATE TABLE identity_aliases (
    workflow_id    text NOT NULL,
    identity_id    text NOT NULL,
    surface        text NOT NULL,
    mention_count  bigint NOT NULL,
    PRIMARY KEY (workflow_id, identity_id, surface),
    FOREIGN KEY (workflow_id, identity_id) REFERENCES identities ON DELETE CASCADE
);

-- A graph of a run exists from when its row stands here, even if it has no edge.
CREATE TABLE graphs (
    workflow_id  text PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    node_count   bigint NOT NULL,
    edge_count   bigint NOT NULL
);

-- Two identities that occur in the same documents; the smaller id comes first.
CREATE TABLE graph_edges (
    workflow_id  text NOT NULL REFERENCES graphs ON DELETE CASCADE,
    source       text NOT NULL,
    target       text NOT NULL,
    weight       bigint NOT NULL CONSTRAINT weight_counts_documents CHECK (weight > 0),
    PRIMARY KEY (workflow_id, source, target),
    CONSTRAINT edges_are_undirected CHECK (source < target),
    FOREIGN KEY (workflow_id, source) REFERENCES identities ON DELETE CASCADE,
    FOREIGN KEY (workflow_id, target) REFERENCES identities ON DELETE CASCADE
);

-- The table output: one row a processed document.
CREATE TABLE document_statistics (
    workflow_id     text NOT NULL REFERENCES runs ON DELETE CASCADE,
    position        bigint NOT NULL,
    characters      bigint NOT NULL,
    chunk_count     bigint NOT NULL,
    mention_count   bigint NOT NULL,
    identity_count  bigint NOT NULL,
    kinds           jsonb NOT NULL,
    PRIMARY KEY (workflow_id, position),
    FOREIGN KEY (workflow_id, position) REFERENCES documents ON DELETE CASCADE
);

-- The vector output: the mean of a document's chunk embeddings, at unit length.
CREATE TABLE document_vectors (
    workflow_id  text NOT NULL REFERENCES runs ON DELETE CASCADE,
    position     bigint NOT NULL,
    embedding    vector(256) NOT NULL,
    PRIMARY KEY (workflow_id, position),
    FOREIGN KEY (workflow_id, position) REFERENCES documents ON DELETE CASCADE
);

CREATE INDEX mentions_by_normalised_name ON mentions (workflow_id, kind, normalised);
