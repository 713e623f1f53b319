"""The domain of Perdure: documents, checkpoints, services and their stores. It knows nothing of Temporal."""

__version__ = "0.4.0"
