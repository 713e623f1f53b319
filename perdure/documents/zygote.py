"""The process that the pool's children are forked from, run as `python -m perdure.documents.zygote SOCKET PARENT`.

It loads every library and model once and shares that memory with its children, so one that was killed is replaced in
milliseconds. It opens no document and has one thread only, which is what makes forking safe. On its socket it takes
one request at a time: `FORK` with the child's socket and standard error attached, answered by the process id; `WAIT`
with a process id, answered by the exit code once that process has ended.
"""

import gc
import logging
import os
import signal
import socket
import struct
import sys

from perdure.documents.child import die_with_parent, leave_signals_to_parent, serve

FORK, WAIT = b"F", b"W"
REQUEST = struct.Struct("!cq")
REPLY = struct.Struct("!q")


def main() -> None:
    """Fork and wait on request until the socket closes."""
    control, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    leave_signals_to_parent()
    die_with_parent(parent)

    from perdure.documents.processing import warm_up  # noqa: PLC0415 - heavy, and only once its end is sure

    logging.disable(logging.INFO)  # libraries greet each other there
    warm_up()
    gc.collect()
    gc.freeze()  # the collector would write to, and so copy, every page that the children share
    while True:
        request, descriptors, *_ = socket.recv_fds(control, REQUEST.size, 2)
        if len(request) < REQUEST.size:
            break
        action, pid = REQUEST.unpack(request)
        control.sendall(REPLY.pack(_fork(control, descriptors) if action == FORK else _exit_code(pid)))
    _reap_all()


def _fork(control: socket.socket, descriptors: list[int]) -> int:
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
    # A dead parent also shows as a broken pipe when a reply is sent; that is no news to anybody.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
