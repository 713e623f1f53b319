"""The zygote: the process that children are forked from.

The command is `python -m perdure.sandbox.zygote SOCKET PARENT WARM_UP`. The zygote loads libraries and models once and
shares their memory with its children, so a killed child is replaced within milliseconds. It opens no document. It has
one thread, since forking is not safe with several. It takes one request at a time from its socket (`fork_protocol`):

* `FORK`, with the child's socket and standard error attached: replies the process id of a new child.
* `WAIT`, with a process id: replies the exit code when that process has ended.
* `LEND`, with a socket attached: takes the same requests from that socket too, of one borrower at a time. There is no
  reply. When the borrower's socket closes, the zygote kills the borrower's children.
"""

import gc
import importlib
import logging
import os
import select
import signal
import socket
import sys

from perdure.sandbox.child import serve
from perdure.sandbox.child_lifetime import die_with_parent, ignore_stop_signals
from perdure.sandbox.fork_protocol import FORK, LEND, REPLY, REQUEST


def main() -> None:
    """Warm up, then serve requests until the socket closes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    ignore_stop_signals()
    die_with_parent(int(sys.argv[2]))
    logging.disable(logging.INFO)  # some libraries log a greeting at this level
    module, _, function = sys.argv[3].partition(":")
    getattr(importlib.import_module(module), function)()
    gc.collect()
    gc.freeze()  # the collector would write to every page that the children share, and a written page is copied
    _Server(control).serve()
    _reap_all()


class _Server:
    """Answers the owner of the zygote, and the borrower that the owner has lent it to."""

    def __init__(self, owner: socket.socket) -> None:
        self._owner = owner
        self._borrower: socket.socket | None = None
        self._children: set[int] = set()
        """Process ids of the borrower's children."""

    def serve(self) -> None:
        """Answer requests until the owner's socket closes."""
        while True:
            for ready in select.select(self._list_sockets(), [], [])[0]:
                if ready is self._borrower and not self._answer(ready):
                    self._end_loan()
                elif ready is self._owner and not self._answer(ready):
                    return

    def _list_sockets(self) -> list[socket.socket]:
        return [self._owner, self._borrower] if self._borrower else [self._owner]

    def _answer(self, client: socket.socket) -> bool:
        """Answer one request; return False if the client's socket is closed."""
        try:
            request, descriptors, *_ = socket.recv_fds(client, REQUEST.size, 2)
        except ConnectionResetError:
            return False
        if len(request) < REQUEST.size:
            return False
        action, pid = REQUEST.unpack(request)
        if action == LEND:
            self._end_loan()
            self._borrower = socket.socket(fileno=descriptors[0])
            return True
        if action == FORK:
            reply = _fork(descriptors, self._list_sockets())
            if client is self._borrower and reply > 0:
                self._children.add(reply)
        else:
            reply = _wait_for_exit_code(pid)
            self._children.discard(pid)
        try:
            client.sendall(REPLY.pack(reply))
        except OSError:
            return False
        return True

    def _end_loan(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._children.clear()
        if self._borrower:
            self._borrower.close()
            self._borrower = None


def _fork(descriptors: list[int], controls: list[socket.socket]) -> int:
    """Fork a child that serves documents; return its process id, or a negative error number.

    Args:
        descriptors: the child's socket and its standard error.
        controls: sockets that the child must not keep open.
    """
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        pid = -(error.errno or 1)
    if pid != 0:
        for descriptor in descriptors:
            os.close(descriptor)
        return pid
    try:
        for control in controls:
            control.close()
        die_with_parent(parent)
        connection, errors = descriptors
        os.dup2(errors, 2)
        serve(socket.socket(fileno=connection))
    finally:
        os._exit(0)  # after any exception too: the child must never return into the zygote's loop


def _wait_for_exit_code(pid: int) -> int:
    """Wait for a child's end and return its exit code; a negative number names a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _reap_all() -> None:
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return


if __name__ == "__main__":
    main()
