"""`IdentityService`: who and what the mentions of a run are, across all of its documents."""

from perdure.services.identity.service import IdentityCounts, IdentityService, IdentityStore, IdentitySummary

__all__ = ["IdentityCounts", "IdentityService", "IdentityStore", "IdentitySummary"]
