"""Writes the sample documents: `python -m tools.samples`.

The texts are in `story/`. Each format has a writer module.
"""
