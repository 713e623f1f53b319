"""Checkpoints in an S3-compatible bucket, or in a folder through the same library: one object a checkpoint.

This room may import `perdure.checkpoint`, `perdure.errors` and `perdure.stores.file_names`. Start reading in
`store.py`; then `bucket.py` (requests and their errors) and `address.py` (the URL).
"""
