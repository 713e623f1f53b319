"""The report of one run as a single HTML page that needs nothing besides itself: data in, text out."""
