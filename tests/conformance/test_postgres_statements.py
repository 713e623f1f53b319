"""Every statement of the `.sql` files is described, valid on the server, and used."""

import re
from importlib.resources import files

import asyncpg
import pytest

from perdure.stores.postgres.audit_checks import COVERAGE_CHECKS, DOCUMENT_CHECKS, SERVICE_CHECKS
from perdure.stores.postgres.signatures import BLOCK_CHUNKS
from perdure.stores.postgres.statements import Statement, count_rows, load_statements

ROOM = files("perdure.stores.postgres")
FILES = sorted(file.name for file in ROOM.joinpath("sql").iterdir() if file.name.endswith(".sql"))
INCLUDED = {"audit.sql": ("analytics.sql",)}
CONSTANTS = {"block_chunks": str(BLOCK_CHUNKS)}
STATEMENTS = {
    f"{file}:{statement.name}": statement.using(**CONSTANTS)
    for file in FILES
    for statement in load_statements(file, *INCLUDED.get(file, ())).values()
}
SEVERAL_AT_ONCE = {"create_tables", "use_indexes"}
"""Entries that hold several statements. The server cannot prepare several statements at once."""
SETUP = {
    "identities.sql": load_statements("identities.sql")["create_tables"],
    "analytics.sql": load_statements("analytics.sql")["create_ranks"],
}


def is_whole(statement: Statement) -> bool:
    """Return whether a statement can be sent unchanged.

    A part of another statement cannot be sent, nor can a statement that still needs a constant.
    """
    begins_whole = re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", statement.template)
    is_part = re.search(r"^\W*(A part|A pattern|Puts a check)", statement.description)
    return bool(begins_whole) and not is_part and not re.search(r"\{[a-z_]+\}", statement.template)


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_statement_has_a_description(statement: Statement) -> None:
    assert statement.description.endswith("."), statement.description


async def test_server_understands_every_statement(database_url: str) -> None:
    conn = await asyncpg.connect(database_url)
    try:
        for setup in SETUP.values():
            async with conn.transaction():
                await conn.execute(setup.text.replace("ON COMMIT DROP", "ON COMMIT PRESERVE ROWS"))
        whole = [statement for statement in STATEMENTS.values() if is_whole(statement)]
        checks = [*DOCUMENT_CHECKS.values(), *COVERAGE_CHECKS.values(), *SERVICE_CHECKS.values()]
        for statement in [*whole, *checks]:
            if statement.name not in SEVERAL_AT_ONCE:
                try:
                    prepared = await conn.prepare(statement.text)
                except asyncpg.PostgresError as error:
                    pytest.fail(f"{statement.name}: {error}")
                assert len(prepared.get_parameters()) == len(statement.parameters), statement.name
    finally:
        await conn.close()


def test_every_statement_is_used() -> None:
    sources = "".join(file.read_text() for file in ROOM.iterdir() if file.name.endswith(".py"))
    templates = "".join(file.read_text() for file in ROOM.joinpath("sql").iterdir())
    names = [statement.name for statement in STATEMENTS.values()]
    unused = [name for name in names if f'"{name}"' not in sources and f"{{{name}}}" not in templates]
    assert unused == ["list_chosen_identities"], "benchmarks/analytics.py uses this one, and no others may be unused"


def test_parameters_are_numbered_in_order_of_first_use() -> None:
    statement = Statement("s", "", "SELECT :b::text, :a, ':c', x[1 : 2] -- :d\nWHERE :b = y AND {limit}")
    filled = statement.using(limit=":e")
    assert filled.text == "SELECT $1::text, $2, ':c', x[1 : 2] -- :d\nWHERE $1 = y AND $3"
    assert filled.bind(a=1, b=2, e=3) == (filled.text, 2, 1, 3)


def test_wrong_names_of_parameters_are_refused() -> None:
    statement = Statement("s", "", "SELECT :a")
    with pytest.raises(TypeError, match=r"The statement s takes \['a'\], not \['b'\]"):
        statement.bind(b=1)


def test_missing_constant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"The statement s needs a text for \{table\}"):
        _ = Statement("s", "", "SELECT FROM {table}").text


def test_written_rows_are_counted() -> None:
    assert [count_rows(outcome) for outcome in ("INSERT 0 3", "UPDATE 1", "DELETE 0")] == [3, 1, 0]
