"""Recognises the format of a document by magic bytes, container directories and heads.

Imports the standard library and `perdure.errors` only.
Start reading in `sample.py`, then `recognisers.py`; the rows that use them are in `perdure/documents/formats.py`.
"""
