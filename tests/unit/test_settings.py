"""A setting that cannot be used is refused at once, by a sentence that names its variable."""

import os
import re
from dataclasses import fields
from pathlib import Path

import pytest

from orchestration.settings import Settings, data_dir_from, wanted_servers
from orchestration.settings.temporal import TemporalSettings
from orchestration.settings.values import limit_variable
from perdure.documents.limits import Limits
from perdure.errors import EmbeddedServersNotRunning, InvalidConfiguration

EXTERNAL = {
    "DATABASE_URL": "postgresql://me:secret@db.example:5432/perdure",
    "TEMPORAL_ADDRESS": "temporal.example:7233",
}
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "configuration.md"


def read(**variables: str) -> Settings:
    return Settings.from_environment(EXTERNAL | variables)


def test_everything_has_a_default_but_the_servers() -> None:
    settings = read()
    assert settings.data_dir == Path.cwd() / "data"
    assert settings.checkpoint_dir == settings.data_dir / "checkpoints"
    assert settings.temporal == TemporalSettings("temporal.example:7233")
    assert settings.task_queue == "perdure"
    assert settings.pool_workers == os.cpu_count()
    assert settings.limits == Limits()
    assert not settings.external_services


def test_without_addresses_the_embedded_servers_are_wanted() -> None:
    assert wanted_servers({}).postgres
    assert wanted_servers({}).temporal
    assert not wanted_servers(EXTERNAL).postgres
    assert not wanted_servers(EXTERNAL).temporal


def test_servers_that_do_not_run_are_named_with_the_way_to_start_them(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServersNotRunning, match=rf"{tmp_path}/ are not running; .*starter\.py up"):
        Settings.from_environment({"PERDURE_DATA_DIR": str(tmp_path)})


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
        ("PERDURE_POOL_WORKERS", "many"),
        ("PERDURE_OCR", "perhaps?"),
        ("PERDURE_OCR", "xxx_nowhere"),
        ("PERDURE_POOL_WORKERS", "0"),
        ("PERDURE_POOL_WORKERS", "1000000"),
        ("PERDURE_FILE_CHECKPOINTS", "no"),
        ("PERDURE_LIMIT_MEMORY_BYTES", "2 GB"),
        ("PERDURE_LIMIT_ATTEMPTS", "-1"),
        ("PERDURE_SERVICES", "search"),
        ("PERDURE_SERVICES", "search=ftp://host"),
        ("PERDURE_SERVICES", "search=tcp://host"),
        ("PERDURE_SERVICES", "a=tcp://host:1,a=tcp://host:2"),
        ("PERDURE_SERVICES", '{"search": 1}'),
        ("PERDURE_SERVICES", '{"search"'),
        ("PERDURE_DATA_DIR", "a\0b"),
    ],
)
def test_a_bad_value_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(InvalidConfiguration, match=variable):
        read(**{variable: value})


def test_a_refusal_never_shows_the_password() -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        read(DATABASE_URL="postgresql://me:secret@db:port/x")
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(read())


def test_services_are_taken_as_a_list_and_as_json() -> None:
    wanted = {"search": "https://search.example/health", "queue": "tcp://queue.example:5672"}
    listed = read(PERDURE_SERVICES=",".join(f"{name}={address}" for name, address in wanted.items()))
    as_json = read(PERDURE_SERVICES='{"search": "https://search.example/health", "queue": "tcp://queue.example:5672"}')
    assert listed.external_services == as_json.external_services == wanted


def test_a_profile_names_the_server_and_variables_override_it(tmp_path: Path) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.far]\naddress = "far.tmprl.cloud:7233"\nnamespace = "ours"\napi_key = "key"\n')
    source = {"TEMPORAL_CONFIG_FILE": str(file), "TEMPORAL_PROFILE": "far", "DATABASE_URL": EXTERNAL["DATABASE_URL"]}
    found = Settings.from_environment(source).temporal
    assert (found.address, found.namespace, found.api_key, found.tls) == ("far.tmprl.cloud:7233", "ours", "key", True)
    assert found.web_ui == "https://cloud.temporal.io"
    assert Settings.from_environment(source | {"TEMPORAL_NAMESPACE": "theirs"}).temporal.namespace == "theirs"


def test_a_process_started_with_its_variables_comes_to_the_same_settings(tmp_path: Path) -> None:
    settings = read(
        PERDURE_DATA_DIR=str(tmp_path),
        PERDURE_TASK_QUEUE="other",
        PERDURE_FILE_CHECKPOINTS="0",
        PERDURE_POOL_WORKERS="3",
        PERDURE_SERVICES="queue=tcp://queue.example:5672",
        PERDURE_LIMIT_MEMORY_BYTES="1000000000",
        TEMPORAL_NAMESPACE="ours",
    )
    assert settings.checkpoint_dir is None
    assert Settings.from_environment(settings.environment()) == settings


def test_the_data_folder_is_absolute_wherever_a_process_goes() -> None:
    assert data_dir_from({"PERDURE_DATA_DIR": "some/where"}) == Path.cwd() / "some" / "where"


def test_every_variable_is_documented_and_no_other() -> None:
    code = "".join(path.read_text() for path in (Path(__file__).parents[2] / "orchestration").glob("**/*.py"))
    known = set(re.findall(r'"(PERDURE_[A-Z_]+[A-Z]|DATABASE_URL)"', code))
    known |= {limit_variable(limit.name) for limit in fields(Limits)}
    documented = set(re.findall(r"`(PERDURE_[A-Z_]+|DATABASE_URL)`", DOCUMENTATION.read_text()))
    assert len(known) > 5
    assert documented == known
