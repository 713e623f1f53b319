"""Queries that Postgres alone answers: search, entities, export.

The queries change no data. The room may import `client` for its check of workflow ids, and every room below; no
Temporal server is asked. Start reading at `opened.open_queries`.
"""
