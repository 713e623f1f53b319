"""The audit: finds differences between history, stores and outputs, and repairs stores.

This room may import `orchestration.client` and `orchestration.stores`, and the rooms of `perdure`. Start reading in
`verification.py`; then `evidence.py` (what is read), `chain.py` (which chain is right) and `rebuild.py`.
"""

from orchestration.audit.findings import Difference, Verification
from orchestration.audit.rebuild import Rebuilt, rebuild_mirror
from orchestration.audit.verification import verify

__all__ = ["Difference", "Rebuilt", "Verification", "rebuild_mirror", "verify"]
