"""Every variable has its effect, and the refusal of an unusable value names the variable."""

import os
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from orchestration.embedded.configured import read_database_url, read_settings, wanted_servers
from orchestration.settings import Settings, data_dir_from
from orchestration.settings.temporal import TemporalSettings
from orchestration.settings.variables import Variables, limit_variable
from perdure.documents.limits import Limits
from perdure.errors import EmbeddedServersNotRunning, InvalidConfiguration

EXTERNAL = {
    "DATABASE_URL": "postgresql://me:secret@db.example:5432/perdure",
    "TEMPORAL_ADDRESS": "temporal.example:7233",
}
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "configuration.md"
CODE = ("orchestration", "commands", "perdure", "activities")


def read(**variables: str) -> Settings:
    return read_settings(EXTERNAL | variables)


def test_every_setting_but_the_servers_has_a_default() -> None:
    settings = read()
    assert settings.data_dir == Path.cwd() / "data"
    assert settings.checkpoint_dir == settings.data_dir / "checkpoints"
    assert settings.temporal == TemporalSettings("temporal.example:7233")
    assert settings.task_queue == "perdure"
    assert settings.pool_workers == os.cpu_count()
    assert settings.limits == Limits()
    assert not settings.external_services
    assert not settings.embedded_database


@pytest.mark.parametrize(
    ("variable", "value", "expected", "actual"),
    [
        ("DATABASE_URL", "postgres://db/x", "postgres://db/x", lambda settings: settings.database_url),
        ("PERDURE_DATA_DIR", "/srv/perdure", Path("/srv/perdure"), lambda settings: settings.data_dir),
        ("PERDURE_TASK_QUEUE", "night", "night", lambda settings: settings.task_queue),
        ("PERDURE_FILE_CHECKPOINTS", "0", None, lambda settings: settings.checkpoint_dir),
        ("PERDURE_CHECKPOINT_URL", "s3://bucket/a/", "s3://bucket/a", lambda settings: settings.checkpoint_url),
        ("PERDURE_POOL_WORKERS", "256", 256, lambda settings: settings.pool_workers),
        ("PERDURE_OCR", "0", None, lambda settings: settings.ocr),
        ("PERDURE_SERVICES", "a=tcp://b:1", {"a": "tcp://b:1"}, lambda settings: settings.external_services),
        ("TEMPORAL_NAMESPACE", "ours", "ours", lambda settings: settings.temporal.namespace),
        ("TEMPORAL_ADDRESS", "other:1", "other:1", lambda settings: settings.temporal.address),
        ("TEMPORAL_API_KEY", "key", "key", lambda settings: settings.temporal.api_key),
        ("TEMPORAL_TLS", "true", True, lambda settings: bool(settings.temporal.tls)),
        ("TEMPORAL_UI_ADDRESS", "https://ui", "https://ui", lambda settings: settings.temporal.web_ui),
    ],
)
def test_each_variable_sets_its_setting(
    variable: str, value: str, expected: object, actual: Callable[[Settings], object]
) -> None:
    assert actual(read(**{variable: value})) == expected


@pytest.mark.parametrize("limit", [limit.name for limit in fields(Limits)])
def test_each_limit_has_a_variable_of_its_type(limit: str) -> None:
    kind: Any = type(getattr(Limits(), limit))
    value = getattr(read(**{limit_variable(limit): "7"}).limits, limit)
    assert value == 7
    assert isinstance(value, kind)


def test_each_empty_variable_counts_as_unset() -> None:
    names = [str(field.alias) for field in Variables.model_fields.values() if field.alias != "DATABASE_URL"]
    limits = [limit_variable(limit.name) for limit in fields(Limits)]
    assert read(**dict.fromkeys([*names, *limits, "PERDURE_DATA_DIR", "PERDURE_OCR"], "")) == read()


def test_embedded_servers_are_wanted_without_addresses() -> None:
    assert wanted_servers({}).postgres
    assert wanted_servers({}).temporal
    assert not wanted_servers(EXTERNAL).postgres
    assert not wanted_servers(EXTERNAL).temporal


def test_stopped_servers_are_named_with_the_command_to_start_them(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServersNotRunning, match=rf"{tmp_path}/ are not running; start them with: .* up"):
        read_settings({"PERDURE_DATA_DIR": str(tmp_path)})


def test_database_address_is_read_without_other_variables() -> None:
    assert read_database_url(EXTERNAL | {"PERDURE_POOL_WORKERS": "many"}) == EXTERNAL["DATABASE_URL"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "mysql://db"),
        ("DATABASE_URL", "postgresql://db:notaport/x"),
        ("TEMPORAL_ADDRESS", "temporal.example"),
        ("TEMPORAL_ADDRESS", "http://temporal.example:7233"),
        ("TEMPORAL_TLS", "perhaps"),
        ("TEMPORAL_TLS_CLIENT_CERT_PATH", "/does/not/exist.pem"),
        ("TEMPORAL_CONFIG_FILE", "/does/not/exist.toml"),
        ("PERDURE_OCR", "perhaps?"),
        ("PERDURE_OCR", "xxx_nowhere"),
        ("PERDURE_SERVICES", "search"),
        ("PERDURE_SERVICES", "search=ftp://host"),
        ("PERDURE_SERVICES", "search=tcp://host"),
        ("PERDURE_SERVICES", "a=tcp://host:1,a=tcp://host:2"),
        ("PERDURE_SERVICES", '{"search": 1}'),
        ("PERDURE_SERVICES", '{"search"'),
        ("PERDURE_DATA_DIR", "a\0b"),
        ("PERDURE_CHECKPOINT_URL", "https://bucket"),
    ],
)
def test_unusable_value_is_refused_by_its_variables_name(variable: str, value: str) -> None:
    with pytest.raises(InvalidConfiguration, match=variable):
        read(**{variable: value})


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("PERDURE_POOL_WORKERS", "many", "a whole number from 1 to 256"),
        ("PERDURE_POOL_WORKERS", "0", "a whole number from 1 to 256"),
        ("PERDURE_POOL_WORKERS", "1000000", "a whole number from 1 to 256"),
        ("PERDURE_FILE_CHECKPOINTS", "no", "0 or 1"),
        ("PERDURE_LIMIT_MEMORY_BYTES", "2 GB", "a positive whole number"),
        ("PERDURE_LIMIT_ATTEMPTS", "-1", "a positive whole number"),
        ("PERDURE_LIMIT_WALL_SECONDS", "inf", "a positive number"),
        ("PERDURE_LIMIT_WALL_SECONDS", "nan", "a positive number"),
        ("PERDURE_LIMIT_WALL_SECONDS", "0", "a positive number"),
    ],
)
def test_refusal_says_what_the_value_must_be(variable: str, value: str, wanted: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        read(**{variable: value})
    assert str(refused.value) == f"{variable} must be {wanted}, not '{value}'."


def test_no_refusal_and_no_repr_shows_the_password() -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        read(DATABASE_URL="postgresql://me:secret@db:port/x")
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(read())


def test_services_are_read_as_list_and_as_json() -> None:
    wanted = {"search": "https://search.example/health", "queue": "tcp://queue.example:5672"}
    listed = read(PERDURE_SERVICES=",".join(f"{name}={address}" for name, address in wanted.items()))
    as_json = read(PERDURE_SERVICES='{"search": "https://search.example/health", "queue": "tcp://queue.example:5672"}')
    assert listed.external_services == as_json.external_services == wanted


def test_variables_override_a_temporal_profile(tmp_path: Path) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.far]\naddress = "far.tmprl.cloud:7233"\nnamespace = "ours"\napi_key = "key"\n')
    source = {"TEMPORAL_CONFIG_FILE": str(file), "TEMPORAL_PROFILE": "far", "DATABASE_URL": EXTERNAL["DATABASE_URL"]}
    server = read_settings(source).temporal
    assert (server.address, server.namespace, server.api_key, server.tls) == (
        "far.tmprl.cloud:7233",
        "ours",
        "key",
        True,
    )
    assert server.web_ui == "https://cloud.temporal.io"
    assert read_settings(source | {"TEMPORAL_NAMESPACE": "theirs"}).temporal.namespace == "theirs"


def test_child_process_gets_the_same_settings(tmp_path: Path) -> None:
    settings = read(
        PERDURE_DATA_DIR=str(tmp_path),
        PERDURE_TASK_QUEUE="other",
        PERDURE_FILE_CHECKPOINTS="0",
        PERDURE_CHECKPOINT_URL="s3://bucket/perdure",
        PERDURE_POOL_WORKERS="3",
        PERDURE_SERVICES="queue=tcp://queue.example:5672",
        TEMPORAL_NAMESPACE="ours",
        **{limit_variable(limit.name): "9" for limit in fields(Limits)},
    )
    assert settings.checkpoint_dir is None
    assert read_settings(settings.environment()) == settings


def test_child_process_gets_a_value_for_every_variable() -> None:
    known = {str(field.alias) for field in Variables.model_fields.values()}
    known |= {limit_variable(limit.name) for limit in fields(Limits)} | {"PERDURE_DATA_DIR", "PERDURE_OCR"}
    assert known <= read().environment().keys()


def test_data_folder_is_absolute() -> None:
    assert data_dir_from({"PERDURE_DATA_DIR": "some/where"}) == Path.cwd() / "some" / "where"


def test_documentation_names_every_variable_and_no_other() -> None:
    root = Path(__file__).parents[2]
    code = "".join(path.read_text() for folder in CODE for path in (root / folder).glob("**/*.py"))
    known = set(re.findall(r'"(PERDURE_[A-Z_]+[A-Z]|DATABASE_URL)"', code))
    known |= {limit_variable(limit.name) for limit in fields(Limits)}
    documented = set(re.findall(r"`(PERDURE_[A-Z_]+|DATABASE_URL)`", DOCUMENTATION.read_text()))
    assert len(known) > 5
    assert documented == known
