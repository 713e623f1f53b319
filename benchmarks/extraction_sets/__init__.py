"""Generated documents with known content, one writer a format, for `extraction.py`."""
