"""What the pool and its fork server say to each other; loads nothing, for whoever starts one is in a hurry."""

import struct

FORK, WAIT, LEND = b"F", b"W", b"L"
REQUEST = struct.Struct("!cq")
"""An action and a process id; descriptors may come with it."""
REPLY = struct.Struct("!q")
