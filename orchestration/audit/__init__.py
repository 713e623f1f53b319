"""The audit: find every difference between history, checkpoint stores and outputs, and repair the checkpoint stores.

This room may import `orchestration.client` and `orchestration.stores`, and the rooms of `perdure`. Start reading in
`verification.py`; then `evidence.py` (what is read), `chain.py` (which chain is right) and `rebuild.py`.
"""

from orchestration.audit.findings import Difference, Verification
from orchestration.audit.rebuild import Rebuilt, rebuild_mirror
from orchestration.audit.verification import verify

__all__ = ["Difference", "Rebuilt", "Verification", "rebuild_mirror", "verify"]
