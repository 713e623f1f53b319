"""Make and read signatures of chunks: one bit for each dimension of a vector.

A search takes the chunks whose signatures differ from the query's in the fewest bits. For these chunks, the search
makes a better estimate: the sum of the query's components, each with the sign of the chunk's component. The search
reads the signatures of all chunks of a run, in blocks, so the result depends on the run's vectors alone. The
measurements are in docs/decisions/0012.
"""

import numpy as np
import numpy.typing as npt

from perdure.services.search import Place
from perdure.stores.postgres.connection import Connection
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS
from perdure.stores.postgres.statements import load_statements

EXACT_CHUNKS = 20_000
"""A run with at most this many chunks has no signatures: comparing all of its vectors takes milliseconds."""
ESTIMATED = 10_000
"""Number of chunks, nearest to the query in bits, that get the better estimate."""
BLOCK_CHUNKS = 4_096
"""Number of chunks whose signatures stand in one row."""
_BLOCKS_PER_FETCH = 64
"""Number of blocks that are read at once. 64 blocks take 11 MB."""
_PLACE = np.dtype([("position", ">i8"), ("ordinal", ">i4")])
_SIGNS = 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32) - 1
"""Shape (256, 8): the signs that a byte of a signature stands for."""

_INSERT = load_statements("analytics.sql")["insert_signatures"].using(block_chunks=str(BLOCK_CHUNKS))
_BLOCKS = "SELECT places, signatures FROM chunk_signatures WHERE workflow_id = $1 ORDER BY block"


async def make_signatures(conn: Connection, workflow_id: str) -> None:
    """Replace the signatures of a large run in the current transaction; a small run gets none."""
    await conn.execute("DELETE FROM chunk_signatures WHERE workflow_id = $1", workflow_id, timeout=WHOLE_RUN_SECONDS)
    chunks = await conn.fetchval(
        "SELECT coalesce(sum(chunk_count), 0) FROM documents WHERE workflow_id = $1 AND status = 'processed'",
        workflow_id,
        timeout=WHOLE_RUN_SECONDS,
    )
    if chunks > EXACT_CHUNKS:
        await conn.execute(*_INSERT.bind(workflow_id=workflow_id), timeout=WHOLE_RUN_SECONDS)


async def likely_nearest(
    conn: Connection, workflow_id: str, vector: npt.NDArray[np.float32], count: int
) -> list[Place] | None:
    """Return the `count` places with the nearest signatures; None for a run without signatures.

    The places come in no particular order. Of equally near places, the earlier places are taken.

    Args:
        conn: a connection inside a transaction.
        workflow_id: the run.
        vector: vector of the query, shape (dimensions,).
        count: the largest number of places to return.
    """
    query = np.packbits(vector > 0).view(np.uint64)
    signatures = np.empty((0, len(query)), np.uint64)
    places = np.empty(0, _PLACE)
    differing = np.empty(0, np.uint16)
    cursor = await conn.cursor(_BLOCKS, workflow_id)
    while blocks := await cursor.fetch(_BLOCKS_PER_FETCH):
        more = [np.frombuffer(block["signatures"], np.uint64).reshape(-1, len(query)) for block in blocks]
        signatures = np.concatenate([signatures, *more])
        places = np.concatenate([places, *(np.frombuffer(block["places"], _PLACE) for block in blocks)])
        differing = np.concatenate([differing, *(_count_differing_bits(query, block) for block in more)])
        best = _find_lowest(differing, ESTIMATED)
        signatures = signatures[best]
        places = places[best]
        differing = differing[best]
        if len(blocks) < _BLOCKS_PER_FETCH:
            break
    if not len(places):
        return None
    nearest = places[_find_lowest(-_estimate(vector, signatures), count)]
    return list(zip(nearest["position"].tolist(), nearest["ordinal"].tolist(), strict=True))


def _count_differing_bits(query: npt.NDArray[np.uint64], signatures: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint16]:
    """Return the number of bits in which each signature differs; shape (signatures,)."""
    words = np.bitwise_count(signatures ^ query)
    total: npt.NDArray[np.uint16] = words[:, 0].astype(np.uint16)
    for word in range(1, words.shape[1]):
        total += words[:, word]
    return total


def _estimate(vector: npt.NDArray[np.float32], signatures: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    """Return the estimate of each chunk: the query's components, with the chunk's signs, summed."""
    tables = vector.reshape(-1, 8) @ _SIGNS.T  # for each byte of a signature, the sum that each of its 256 values adds
    columns = np.ascontiguousarray(signatures.view(np.uint8).T)
    total = np.zeros(len(signatures), np.float32)
    for table, column in zip(tables, columns, strict=True):
        total += table[column]
    return total


def _find_lowest(numbers: npt.NDArray[np.generic], count: int) -> npt.NDArray[np.intp]:
    """Return the sorted indices of the `count` lowest numbers; of equal numbers the first."""
    if len(numbers) <= count:
        return np.arange(len(numbers))
    limit = np.partition(numbers, count - 1)[count - 1]
    below = np.flatnonzero(numbers < limit)
    equal = np.flatnonzero(numbers == limit)
    return np.sort(np.concatenate([below, equal[: count - len(below)]]))
