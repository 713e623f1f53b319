"""Made documents with known content, one writer for each format, for `benchmarks/extraction.py`."""
