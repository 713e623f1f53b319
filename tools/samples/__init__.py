"""Writes the sample documents: `python -m tools.samples`. Texts are in `story/`; each format has a writer module."""
