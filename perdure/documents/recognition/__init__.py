"""Recognises the format of a document by its content: magic bytes, container directories and the heads of texts.

Imports the standard library and `perdure.errors` only.
Start reading in `sample.py`, then `recognisers.py`; the rows that use them are in `perdure/documents/formats.py`.
"""
