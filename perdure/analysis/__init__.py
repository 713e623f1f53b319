"""Text in, values out: chunks, embeddings, mentions and the language of a text.

The package knows no file and no format. It imports nothing of Perdure but itself, so that another model can replace any
part of it. Start with `annotations.py` (the values), then `mentions.py`; docs/mentions.md has the measured quality.
"""
