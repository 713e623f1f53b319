"""Runs a function on untrusted bytes in a confined process.

The process gets bytes and a descriptor, and returns bytes. Imports `perdure.errors` only. The caller injects the
function, the opener, the warm-up and the codec (`job.py`). Start with `pool.py`; docs/safety.md lists the bounds.
`computation/` runs trusted computations in a process each.
"""
