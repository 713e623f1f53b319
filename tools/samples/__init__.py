"""Makes the sample documents: `python -m tools.samples`. The texts are in `story/`, one writer a format beside it."""
