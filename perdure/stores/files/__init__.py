"""Checkpoints in JSON files, one array for each workflow id, readable without any server.

This room may import `perdure.checkpoint`, `perdure.errors`, and the modules of `perdure.stores` itself. Start
reading in `json_file.py`; then `array_file.py`.
"""
