"""The pool's side of the socket to a child: sends a request, receives parts and the answer."""

import asyncio
import socket
from collections.abc import Callable
from typing import TypeVar

from perdure.errors import ParserCrashed
from perdure.sandbox.job import Answer, AnswerCodec
from perdure.sandbox.limits import MEGABYTE
from perdure.sandbox.messages import ANSWER, FAILURE, HEADER, PARTS, REQUEST, decode_failure, decode_parts
from perdure.sandbox.parts import Send

_LARGE_BYTES = MEGABYTE
"""A thread decodes a larger message, because its decoding would block the event loop. A book gives such an answer."""

Content = TypeVar("Content")


class ChildEnded(Exception):
    """The child ended, or closed its socket, before it answered."""


async def read_document(
    connection: socket.socket, request: bytes, descriptor: int, codec: AnswerCodec[Answer], send: Send, max_bytes: int
) -> Answer:
    """Have the child read a document, and return the parser's answer.

    Args:
        connection: non-blocking socket to the child.
        request: as `perdure.sandbox.child.serve` expects it.
        descriptor: descriptor of the document's bytes; stays open here.
        codec: decodes the answer.
        send: receives parts while the child works.
        max_bytes: the longest message that the child may send.

    Raises:
        ChildEnded: the child ended, or closed its socket, before it answered.
        DocumentError: the parser reported the document's fault, or the child sent something that is not an answer.
        DependencyUnavailable: the parser reported that a disk or another dependency failed.
    """
    loop = asyncio.get_running_loop()
    try:
        # The header fits into the buffer of an idle socket, so this call does not block.
        socket.send_fds(connection, [HEADER.pack(REQUEST, len(request))], [descriptor])
        await loop.sock_sendall(connection, request)
        while True:
            kind, length = HEADER.unpack(await _receive(connection, HEADER.size))
            if length > max_bytes:
                raise ParserCrashed("The parser's answer is longer than the memory that it may use.")
            content = await _receive(connection, length)
            if kind == PARTS:
                send(*await _decode(decode_parts, content))
            elif kind == ANSWER:
                return await _decode(codec.decode, content)
            elif kind == FAILURE:
                raise await _decode(decode_failure, content)
            else:
                raise ParserCrashed("The parser sent something that is not an answer.")
    except (BrokenPipeError, ConnectionResetError) as error:
        raise ChildEnded from error


async def _receive(connection: socket.socket, count: int) -> bytearray:
    """Return exactly `count` bytes.

    Raises:
        ChildEnded: the socket was closed before that many bytes came.
    """
    received = bytearray(count)
    rest = memoryview(received)
    while rest:
        length = await asyncio.get_running_loop().sock_recv_into(connection, rest)
        if length == 0:
            raise ChildEnded
        rest = rest[length:]
    return received


async def _decode(decode: Callable[[bytearray], Content], content: bytearray) -> Content:
    """Return what `content` decodes to, decoded in a thread if it is large.

    Raises:
        ParserCrashed: the content cannot be decoded.
    """
    try:
        return await asyncio.to_thread(decode, content) if len(content) > _LARGE_BYTES else decode(content)
    except Exception as error:
        raise ParserCrashed("The parser sent something that is not an answer.") from error
