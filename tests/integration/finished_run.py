"""A run with all results and with unusual names, written to the store without a pipeline."""

from collections.abc import Sequence
from dataclasses import replace

from perdure.documents.document import ProcessedDocument
from perdure.services.analytics import AnalyticsService
from perdure.stores.postgres.analytics import PostgresAnalyticsStore
from perdure.stores.postgres.connection import PostgresPool
from perdure.stores.postgres.identities import PostgresIdentityStore
from tests.integration.committed_run import committed, document

ADA = ("person", "Ada Lovelace")
GRACE = ("person", "Grace Hopper")
ODD = ("organisation", '=SUM(1), "Böse\x02 & Söhne"\r\n<Ltd> \U0001f409 \ufffe')


def documents() -> list[ProcessedDocument]:
    plain = document([ADA, GRACE, ODD])
    paged = replace(
        document([ADA, ODD, ("place", "London")]),
        page_offsets=(0, 20),
        title="",
        language="en",
        authors=('A "B", C', ""),
        warnings=("hm\n",),
        created="2024-02-29",
        modified="1815-12-10T23:59:59Z",
    )
    return [plain, paged, document([GRACE, ADA]), document([])]


async def finished(pool: PostgresPool, workflow_id: str, order: Sequence[int] = (0, 1, 2, 3)) -> None:
    epoch = await committed(pool, workflow_id, documents(), order)
    await PostgresIdentityStore(pool).resolve(workflow_id, epoch)
    await AnalyticsService(PostgresAnalyticsStore(pool)).build(workflow_id, epoch)
