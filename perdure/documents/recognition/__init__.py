"""Recognises the format of a document by magic bytes, container directories and heads.

Imports `perdure.errors` and `perdure.documents.lazy_import` only.
Start reading in `sample.py`, then `recognisers.py`; the rows that use them are in `perdure/documents/formats.py`.
"""
