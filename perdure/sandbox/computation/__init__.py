"""Runs a long or large trusted computation in a separate process.

The process ends with its worker. Imports `perdure.errors` and `perdure.sandbox.child_lifetime` only. Rows of plain
values go in and out. Start with `parent.py` (the worker's side); `child.py` is the other side.
"""
