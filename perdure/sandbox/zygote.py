"""The process that the pool's children are forked from, run as `python -m perdure.sandbox.zygote SOCKET PARENT`.

It loads every library and model once and shares that memory with its children, so one that was killed is replaced in
milliseconds. It opens no document and has one thread only, which is what makes forking safe. On its socket it takes
one request at a time: `FORK` with the child's socket and standard error attached, answered by the process id; `WAIT`
with a process id, answered by the exit code once that process has ended; `LEND`, which has no answer, with a socket
attached on which it then takes the same requests, of one borrower at a time: when that socket closes, the borrower's
children are killed.
"""

import gc
import logging
import os
import select
import signal
import socket
import sys
from types import ModuleType

from perdure.sandbox.child import serve
from perdure.sandbox.fork_protocol import FORK, LEND, REPLY, REQUEST
from perdure.sandbox.parentage import die_with_parent, leave_signals_to_parent


def main() -> None:
    """Fork and wait on request until the socket closes."""
    control, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    leave_signals_to_parent()
    die_with_parent(parent)

    from perdure.documents.processing import warm_up  # noqa: PLC0415 - heavy, and only once its end is sure

    logging.disable(logging.INFO)  # libraries greet each other there
    _leave_out_spacys_command_line()
    warm_up()
    gc.collect()
    gc.freeze()  # the collector would write to, and so copy, every page that the children share
    _Server(control).serve()
    _reap_all()


def _leave_out_spacys_command_line() -> None:
    """It is imported for one function that nobody calls, web client and all: a seventh of the time to load."""
    info = ModuleType("spacy.cli.info")
    info.info = None  # type: ignore[attr-defined]  # all that is asked of it
    sys.modules |= {"spacy.cli": ModuleType("spacy.cli"), info.__name__: info}


class _Server:
    """Answers its owner, and the borrower to whom the owner has lent it."""

    def __init__(self, owner: socket.socket) -> None:
        self._owner = owner
        self._borrower: socket.socket | None = None
        self._children: set[int] = set()
        """Those forked for the borrower."""

    def serve(self) -> None:
        """Until the owner's socket closes."""
        while True:
            open_sockets = [self._owner, *([self._borrower] if self._borrower else [])]
            for ready in select.select(open_sockets, [], [])[0]:
                if ready is self._borrower and not self._answer(ready):
                    self._end_loan()
                elif ready is self._owner and not self._answer(ready):
                    return

    def _answer(self, client: socket.socket) -> bool:
        """Whether there was a request."""
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
            answer = _fork(descriptors, [one for one in (self._owner, self._borrower) if one])
            if client is self._borrower and answer > 0:
                self._children.add(answer)
        else:
            answer = _exit_code(pid)
            self._children.discard(pid)
        try:
            client.sendall(REPLY.pack(answer))
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
    """The child's process id, or an error number below zero."""
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
        os._exit(0)  # whatever happened: two processes must never return from one fork


def _exit_code(pid: int) -> int:
    """As `subprocess` gives it: the negative number of the signal that ended the process."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _reap_all() -> None:
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return


if __name__ == "__main__":
    main()
