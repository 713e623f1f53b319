"""Activities: each receives a wire message, calls the domain, and returns a wire message.

This room may import `perdure`, except `perdure.stores`: the composition root injects stores. Start reading in
`batches.py`; `faults.py` turns the domain's errors into Temporal's.
"""
