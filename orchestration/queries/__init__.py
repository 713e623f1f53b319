"""Questions about runs that Postgres alone answers: search, entities, export. They change nothing.

The room may import `client` for its check of workflow ids, and every room below; no Temporal server is asked.
Start reading at `opened.open_queries`.
"""
