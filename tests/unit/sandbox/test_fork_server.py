"""Requests to a zygote get their own replies, and a borrower's children end with its loan."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psutil
import pytest

from perdure.sandbox.fork_protocol import REPLY, REQUEST, WAIT
from perdure.sandbox.fork_server import ForkServer, Zygote
from tests.unit.sandbox.jobs import LOAD_NOTHING


@asynccontextmanager
async def answered_by_the_test() -> AsyncIterator[tuple[ForkServer, socket.socket]]:
    """Give a fork server, and the socket on which the test answers in place of a zygote."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    server = ForkServer(lent=ours)
    try:
        async with asyncio.timeout(20):
            yield server, theirs
    finally:
        server.stop()
        theirs.close()


async def _receive(theirs: socket.socket) -> tuple[bytes, int]:
    action, pid = REQUEST.unpack(await asyncio.get_running_loop().sock_recv(theirs, REQUEST.size))
    return action, pid


async def test_reply_to_a_cancelled_request_goes_to_no_other_request() -> None:
    async with answered_by_the_test() as (server, theirs):
        first = asyncio.create_task(server.exit_code(1))
        assert await _receive(theirs) == (WAIT, 1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = asyncio.create_task(server.exit_code(2))
        await asyncio.sleep(0)  # the second request may begin
        theirs.sendall(REPLY.pack(11))
        assert await _receive(theirs) == (WAIT, 2)
        theirs.sendall(REPLY.pack(22))
        assert await second == 22


async def test_requests_at_the_same_time_get_their_own_replies() -> None:
    async with answered_by_the_test() as (server, theirs):
        requests = [asyncio.create_task(server.exit_code(pid)) for pid in (1, 2, 3)]
        for _ in requests:
            _, pid = await _receive(theirs)
            theirs.sendall(REPLY.pack(10 * pid))
        assert await asyncio.gather(*requests) == [10, 20, 30]


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    zygote = Zygote(LOAD_NOTHING)
    yield zygote
    zygote.control.close()
    zygote.wait()


@pytest.mark.parametrize("how", ["the borrower ends", "another borrower comes"])
async def test_children_of_a_borrower_end_with_its_loan(zygote: Zygote, how: str) -> None:
    borrowers = [ForkServer(lent=zygote.lend())]
    child = await borrowers[0].fork()
    process = psutil.Process(child.pid)
    try:
        if how == "the borrower ends":
            borrowers[0].stop()
        else:
            borrowers.append(ForkServer(lent=zygote.lend()))
        _, alive = await asyncio.to_thread(psutil.wait_procs, [process], 20)
        assert alive == []
    finally:
        child.close()
        for borrower in borrowers:
            borrower.stop()
