"""The Temporal server and the Postgres that come as wheels, run as the servers of one data folder.

The room may import `connection` and `settings`; the settings never import it.
Start reading at `stack.EmbeddedStack`, then `configured.read_settings`.
"""
