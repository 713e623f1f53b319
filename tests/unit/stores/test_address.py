"""No message ever shows a password."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import InvalidConfiguration, ServerUnreachable
from perdure.stores.postgres.connection import check_connection, mask_password


@given(st.text(min_size=4).filter(lambda text: "\0" not in text))
def test_no_password_is_shown(rest: str) -> None:
    password = "Zx9" + rest
    for address in (
        f"postgresql://user:{password}@host:5432/name",
        f"postgresql://user:{password}@/name?host=/run/socket",
        f"postgres://host/name?user=u&password={password.replace('&', '')}",
    ):
        assert "Zx9" not in mask_password(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://user:secret@host:5432/name", "postgresql://user:***@host:5432/name"),
        ("postgresql://user@host/name", "postgresql://user@host/name"),
        ("postgresql://host:5432/name", "postgresql://host:5432/name"),
        ("postgresql://[::1]:5432/name", "postgresql://[::1]:5432/name"),
        ("postgresql://a:1,b:2/name", "postgresql://a:1,b:2/name"),
        ("postgresql://user:secret", "postgresql://user:***"),
        ("postgresql://u:p@ss/w@host/name", "postgresql://u:***@host/name"),
        ("postgresql://h/n?sslpassword=secret&a=b", "postgresql://h/n?sslpassword=***&a=b"),
        ("host=h password='my secret' user=u", "host=h password=*** user=u"),
        ("secret", "***"),
        ("", "***"),
    ],
)
def test_the_rest_of_an_address_is_shown(address: str, shown: str) -> None:
    assert mask_password(address) == shown


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nonsense",
        "mysql://user:secret@host/name",
        "postgresql://user:secret@host:port/name",
        "postgresql://user:secret@host:99999/name",
        "postgresql://user:sec/ret@host:5432/name",
        "postgresql://user:secret@host/name?sslmode=maybe",
    ],
)
async def test_a_wrong_address_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(InvalidConfiguration, match="is not an address") as caught:
        await check_connection(address)
    assert "sec" not in str(caught.value).replace("postgresql", "")
    assert "\n" not in str(caught.value)


async def test_an_unknown_host_is_named_in_the_error() -> None:
    with pytest.raises(ServerUnreachable, match="The host of the Postgres server"):
        await check_connection("postgresql://user:secret@nowhere.invalid/name")


async def test_a_closed_port_is_named_in_the_error() -> None:
    with pytest.raises(ServerUnreachable, match=r"No Postgres server listens at postgresql://user:\*\*\*@127"):
        await check_connection("postgresql://user:secret@127.0.0.1:1/name")
