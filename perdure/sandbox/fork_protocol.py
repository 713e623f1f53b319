"""The messages between a fork server's client and the zygote. Imports little, so that a zygote starts fast."""

import struct

FORK, WAIT, LEND = b"F", b"W", b"L"
"""Actions: fork a child, wait for the end of a child, serve a borrower."""
REQUEST = struct.Struct("!cq")
"""Action and process id (0 for `FORK` and `LEND`). Descriptors may come with a request."""
REPLY = struct.Struct("!q")
"""Process id or exit code. For `FORK`, a negative number is an error number."""
