"""The command line: arguments in, sentences, tables or one JSON value out.

The floor may import `orchestration`, `workflows.messages` and `perdure`. Start reading at `catalogue.py`.
"""
