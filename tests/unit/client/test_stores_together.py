"""A client reads a run from several checkpoint stores, of which some cannot be reached."""

from datetime import UTC, datetime

import pytest

from orchestration.client import retention
from orchestration.client.fork import find_checkpoint
from orchestration.client.retention import prune
from perdure.errors import DependencyUnavailable, UnknownCheckpoint
from perdure.stores.postgres.retention import Retired
from tests.conformance.chains import make_chain
from tests.unit.client.held_stores import HeldStore, stores_of

RUN = "run"
CHAIN = make_chain(RUN, 4)


async def test_latest_checkpoint_is_the_newest_of_the_stores_that_answer() -> None:
    away = HeldStore("Postgres", CHAIN, away=True)
    assert await stores_of(HeldStore("Postgres", CHAIN[:2]), HeldStore("files", CHAIN)).latest(RUN) == CHAIN[3]
    assert await stores_of(HeldStore("Postgres", CHAIN), HeldStore("files", CHAIN[:2])).latest(RUN) == CHAIN[3]
    assert await stores_of(away, HeldStore("files", CHAIN[:3])).latest(RUN) == CHAIN[2]
    assert await stores_of(away, HeldStore("files")).latest(RUN) is None
    with pytest.raises(DependencyUnavailable):
        await stores_of(away, HeldStore("files", away=True)).latest(RUN)


async def test_checkpoints_are_listed_from_the_first_store_that_has_any() -> None:
    away = HeldStore("Postgres", CHAIN, away=True)
    assert await stores_of(HeldStore("Postgres"), HeldStore("files", CHAIN)).list(RUN) == CHAIN
    assert await stores_of(away, HeldStore("files", CHAIN)).list(RUN) == CHAIN
    assert await stores_of(HeldStore("Postgres"), HeldStore("files")).list(RUN) == []
    with pytest.raises(DependencyUnavailable):
        await stores_of(away, HeldStore("files")).list(RUN)


async def test_checkpoint_is_unknown_only_if_every_store_says_so() -> None:
    away = HeldStore("Postgres", CHAIN, away=True)
    wanted = CHAIN[1].checkpoint_id
    assert await find_checkpoint(stores_of(away, HeldStore("files", CHAIN)), wanted) == CHAIN[1]
    assert await find_checkpoint(stores_of(HeldStore("Postgres"), HeldStore("files", CHAIN)), wanted) == CHAIN[1]
    with pytest.raises(UnknownCheckpoint):
        await find_checkpoint(stores_of(HeldStore("Postgres"), HeldStore("files")), wanted)
    with pytest.raises(DependencyUnavailable):
        await find_checkpoint(stores_of(away, HeldStore("files")), wanted)


async def test_prune_goes_on_past_a_follower_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower that cannot be reached keeps its old checkpoints, which does no harm."""

    async def retire(_: object, workflow_id: str, *, keep: int, older_than: datetime | None, dry_run: bool) -> Retired:
        requests.append((keep, older_than, dry_run))
        return Retired(workflow_id, 2, 2)

    requests: list[tuple[int, datetime | None, bool]] = []
    monkeypatch.setattr(retention, "retire", retire)
    away = HeldStore("bucket", CHAIN, away=True)
    files = HeldStore("files", CHAIN)
    stores = stores_of(HeldStore("Postgres", CHAIN), away, files)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    dry = await prune(stores, [RUN], keep=2, older_than=moment, dry_run=True)
    assert (dry[0].checkpoints, dry[0].in_stores, files.retired) == (2, {}, [])
    done = await prune(stores, [RUN], keep=2, older_than=moment, dry_run=False)
    assert (done[0].checkpoints, done[0].in_files, done[0].in_stores) == (2, 2, {"files": 2})
    assert files.retired == [(RUN, 2)]
    assert requests == [(2, moment, True), (2, moment, False)]
