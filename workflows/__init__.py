"""Deterministic orchestration: the workflow `DocumentPipeline` and its parts.

No module here reads a clock, random numbers, files or the network. This room may import the activities' messages and
`perdure`. Start reading in `document_pipeline.py`, then `run.py` and `state.py`.
"""
