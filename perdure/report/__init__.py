"""The report of a run as a single HTML page: data in, text out.

This room may import `perdure.services` and below. Start reading in `data.py`, then `page.py`.
"""
