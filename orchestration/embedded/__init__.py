"""The Temporal server and the Postgres server of one data folder, from Python wheels.

The room may import `connection` and `settings`; the settings never import it.
Start reading at `stack.EmbeddedStack`, then `configured.read_settings`.
"""
