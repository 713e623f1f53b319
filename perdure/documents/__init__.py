"""Finds documents, opens them, recognises their formats, and extracts text and structure.

Imports `perdure.analysis`, `perdure.sandbox` and `perdure.errors`; confined children run `processing.py`.
Start reading in `processing.py`, one document from start to end; then `formats.py` and `sources/source.py`.
"""
