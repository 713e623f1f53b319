"""The messages between a fork server's client and the zygote.

This module imports little, so that a zygote starts fast.
"""

import struct

FORK = b"F"
"""Action: fork a child. The child's socket and its standard error come with the request."""
WAIT = b"W"
"""Action: wait for the end of a child."""
LEND = b"L"
"""Action: serve a borrower. The borrower's socket comes with the request, and there is no reply."""
REQUEST = struct.Struct("!cq")
"""Action and process id; 0 for `FORK` and `LEND`."""
REPLY = struct.Struct("!q")
"""Process id or exit code. For `FORK`, a negative number is an error number."""
