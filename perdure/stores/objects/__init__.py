"""Checkpoints in an S3-compatible bucket or a folder, with an object for each checkpoint.

This room may import `perdure.checkpoint`, `perdure.errors` and `perdure.stores.file_names`. Start reading in
`store.py`; then `bucket.py` (requests and their errors) and `address.py` (the URL).
"""
