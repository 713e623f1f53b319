"""The stores: Postgres for everything, and files for checkpoints.

This room may import every other room of `perdure`, and no room imports it. Start reading in `postgres/manifest.py`; for
checkpoints in `postgres/checkpoints.py` and `files/json_file.py`.
"""
