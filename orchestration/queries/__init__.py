"""Queries that Postgres alone answers: search, entities, export.

The queries change no data, and ask no Temporal server. The room may import `client`, for the check of workflow ids,
and every room below. Start reading at `opened.open_queries`.
"""
