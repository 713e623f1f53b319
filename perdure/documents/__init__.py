"""Documents: finds them, opens them, recognises their formats, and extracts text, structure and metadata.

Imports `perdure.analysis`, `perdure.sandbox` and `perdure.errors`; sandbox children run what stands here.
Start reading in `processing.py`, one document from start to end; then `formats.py` and `sources/source.py`.
"""
