"""Audit: find every difference between history, mirror, files and outputs, and make the mirror whole again."""

from orchestration.audit.findings import Difference, Verification
from orchestration.audit.rebuild import Rebuilt, rebuild_mirror
from orchestration.audit.verification import verify

__all__ = ["Difference", "Rebuilt", "Verification", "rebuild_mirror", "verify"]
