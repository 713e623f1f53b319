"""Signatures: one bit for each dimension of a chunk's vector, to find what may be near without reading the vectors.

First come the chunks whose signs differ least from the query's; of those, a better estimate: the sum of the query's own
components, each with the sign that the chunk's vector has there. All chunks of a run are looked through, in blocks, so
what is found depends on the run's vectors alone. docs/decisions/0012 says what was measured.
"""

import numpy as np
import numpy.typing as npt

from perdure.services.search import Place
from perdure.stores.postgres.connection import Connection
from perdure.stores.postgres.identities import WHOLE_RUN_SECONDS

EXACT_CHUNKS = 20_000
"""Runs of up to so many chunks have no signatures: comparing the vectors themselves takes milliseconds."""
ESTIMATED = 10_000
"""Chunks that differ from the query in the fewest bits: only for these is the better estimate made."""
BLOCK_CHUNKS = 4_096
_BLOCKS_AT_ONCE = 64
"""11 MB."""
_PLACE = np.dtype([("position", ">i8"), ("ordinal", ">i4")])
_SIGNS = 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32) - 1
"""Shape (256, 8): the signs that a byte of a signature stands for."""

_MAKE = f"""
INSERT INTO chunk_signatures (workflow_id, block, places, signatures)
SELECT $1, number / {BLOCK_CHUNKS}, string_agg(int8send(position) || int4send(ordinal), '' ORDER BY number),
       string_agg(substring(bit_send(binary_quantize(embedding)) FROM 5), '' ORDER BY number)
FROM (SELECT position, ordinal, embedding, row_number() OVER (ORDER BY position, ordinal) - 1 AS number
      FROM chunks WHERE workflow_id = $1) numbered
GROUP BY number / {BLOCK_CHUNKS}
"""  # noqa: S608 - put together from constants
_BLOCKS = "SELECT places, signatures FROM chunk_signatures WHERE workflow_id = $1 ORDER BY block"


async def make_signatures(conn: Connection, workflow_id: str) -> None:
    """Make those of a large run anew, in the transaction that holds the run; a small one has none."""
    await conn.execute("DELETE FROM chunk_signatures WHERE workflow_id = $1", workflow_id, timeout=WHOLE_RUN_SECONDS)
    chunks = await conn.fetchval(
        "SELECT coalesce(sum(chunk_count), 0) FROM documents WHERE workflow_id = $1 AND status = 'processed'",
        workflow_id,
        timeout=WHOLE_RUN_SECONDS,
    )
    if chunks > EXACT_CHUNKS:
        await conn.execute(_MAKE, workflow_id, timeout=WHOLE_RUN_SECONDS)


async def likely_nearest(
    conn: Connection, workflow_id: str, vector: npt.NDArray[np.float32], count: int
) -> list[Place] | None:
    """The `count` places whose signatures are nearest to the vector, in no order; None if the run has no signatures.

    Of equals the earlier ones are taken. To be asked inside of a transaction.
    """
    query = np.packbits(vector > 0).view(np.uint64)
    signatures, places, differing = np.empty((0, len(query)), np.uint64), np.empty(0, _PLACE), np.empty(0, np.uint16)
    cursor = await conn.cursor(_BLOCKS, workflow_id)
    while blocks := await cursor.fetch(_BLOCKS_AT_ONCE):
        more = [np.frombuffer(block["signatures"], np.uint64).reshape(-1, len(query)) for block in blocks]
        signatures = np.concatenate([signatures, *more])
        places = np.concatenate([places, *(np.frombuffer(block["places"], _PLACE) for block in blocks)])
        differing = np.concatenate([differing, *(_differing(query, one) for one in more)])
        best = _lowest(differing, ESTIMATED)
        signatures, places, differing = signatures[best], places[best], differing[best]
        if len(blocks) < _BLOCKS_AT_ONCE:
            break
    if not len(places):
        return None
    found = places[_lowest(-_estimates(vector, signatures), count)]
    return list(zip(found["position"].tolist(), found["ordinal"].tolist(), strict=True))


def _differing(query: npt.NDArray[np.uint64], signatures: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint16]:
    """How many bits of each signature are not the query's."""
    words = np.bitwise_count(signatures ^ query)
    total: npt.NDArray[np.uint16] = words[:, 0].astype(np.uint16)
    for word in range(1, words.shape[1]):
        total += words[:, word]
    return total


def _estimates(vector: npt.NDArray[np.float32], signatures: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    """For each chunk the sum of the query's components, each with the sign that the chunk's vector has there."""
    tables = vector.reshape(-1, 8) @ _SIGNS.T  # for each byte of a signature, what each of its values adds
    columns = np.ascontiguousarray(signatures.view(np.uint8).T)
    total = np.zeros(len(signatures), np.float32)
    for table, column in zip(tables, columns, strict=True):
        total += table[column]
    return total


def _lowest(numbers: npt.NDArray[np.generic], count: int) -> npt.NDArray[np.intp]:
    """Indices of the `count` lowest numbers in ascending order; of equals the first ones."""
    if len(numbers) <= count:
        return np.arange(len(numbers))
    limit = np.partition(numbers, count - 1)[count - 1]
    below, equal = np.flatnonzero(numbers < limit), np.flatnonzero(numbers == limit)
    return np.sort(np.concatenate([below, equal[: count - len(below)]]))
