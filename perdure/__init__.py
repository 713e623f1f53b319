"""The domain of Perdure: documents, checkpoints, services and their stores.

The domain does not import Temporal.
"""

__version__ = "0.4.0"
