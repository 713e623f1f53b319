"""Services over a run's results: identities, analytics, search, and the health of services.

This room may import `perdure.documents` and below; `perdure.stores` implements its protocols. Start reading in
`health.py`, then in `identity/service.py` and `analytics/__init__.py`.
"""
