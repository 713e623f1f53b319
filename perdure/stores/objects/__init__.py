"""Checkpoints in an S3-compatible bucket or a folder, with an object for each checkpoint.

This room may import `perdure.checkpoint`, `perdure.errors`, and the modules of `perdure.stores` itself. Start
reading in `store.py`; then `bucket.py` (requests and their errors) and `address.py` (the URL).
"""
