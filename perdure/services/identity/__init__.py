"""`IdentityService`: resolves the mentions of a run into people, organisations and places.

This room may import `perdure.sandbox` and below. Start reading in `service.py`, then `resolution.py`.
"""

from perdure.services.identity.service import IdentityCounts, IdentityService, IdentityStore, IdentitySummary

__all__ = ["IdentityCounts", "IdentityService", "IdentityStore", "IdentitySummary"]
