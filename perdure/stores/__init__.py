"""The stores: Postgres for everything, and files and buckets for checkpoints.

This room may import every other room of `perdure`, and no room imports it. Start reading in `postgres/manifest.py`; for
checkpoints in `postgres/checkpoints.py`, `files/json_file.py` and `objects/store.py`.
"""
