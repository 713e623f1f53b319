"""docker-compose.yml is valid, and keeps the promises of docs/deployment.md.

The tests need no Docker. The package check-jsonschema carries the schema of the specification.
"""

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from orchestration.embedded.temporal import DYNAMIC_CONFIG
from orchestration.program.wiring import GRACE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"temporal-schema", "temporal-namespace", "starter"}
LONG_RUNNING = sorted(set(SERVICES) - ONE_SHOT)
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def schema() -> dict[str, Any]:
    """Return the schema of the Compose specification."""
    package = find_spec("check_jsonschema")
    assert package is not None
    assert package.origin is not None
    vendored = Path(package.origin).parent / "builtin_schemas/vendor/compose-spec.json"
    specification: dict[str, Any] = json.loads(vendored.read_text(encoding="utf-8"))
    return specification


def interpolated(text: str) -> str:
    """Return the text with its variables replaced as Compose does, required ones by "given"."""
    return VARIABLE.sub(lambda match: match[3] if match[2] == "-" else "given", text)


def strings(value: Any) -> Iterator[str]:
    """Yield every string inside a value."""
    if isinstance(value, dict):
        for child in value.values():
            yield from strings(child)
    elif isinstance(value, list):
        for child in value:
            yield from strings(child)
    elif isinstance(value, str):
        yield value


def test_file_is_valid_by_compose_specification() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    for text in (TEXT, interpolated(TEXT)):
        assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []


def test_specification_check_finds_a_mistake() -> None:
    broken = yaml.safe_load(TEXT)
    broken["services"]["worker"]["restrat"] = "always"
    assert not jsonschema.Draft202012Validator(schema()).is_valid(broken)


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) >= 3
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", SERVICES)
def test_image_is_pinned_to_a_version(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+[\w.-]*", SERVICES[name]["image"])


def test_base_images_of_dockerfile_are_pinned_to_a_version() -> None:
    images = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert images
    assert [image for image in images if not re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", image)] == []


def test_temporal_server_and_admin_tools_have_one_version() -> None:
    versions = {
        image.rpartition(":")[2]
        for image in (service["image"] for service in SERVICES.values())
        if image.startswith(("temporalio/server:", "temporalio/admin-tools:"))
    }
    assert len(versions) == 1


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_long_running_service_has_health_check_restart_policy_and_memory_limit(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["mem_limit"]


@pytest.mark.parametrize("name", sorted(ONE_SHOT))
def test_one_shot_service_is_not_restarted(name: str) -> None:
    assert SERVICES[name]["restart"] == "no"


@pytest.mark.parametrize("name", SERVICES)
def test_service_waits_for_health_or_end_of_what_it_depends_on(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        assert how == {"condition": expected}


def test_file_holds_no_value_of_a_secret() -> None:
    secrets = [
        value
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if value is not None and re.search(r"PASSWORD|PWD|SECRET|TOKEN|KEY|DATABASE_URL", key)
    ]
    assert len(secrets) >= 5
    for value in secrets:
        assert re.search(r"\$\{\w+:\?[^}]+\}", value)
    assert "://" not in "".join(VARIABLE.sub("", value).replace("postgresql://perdure:@db", "") for value in secrets)


def test_example_environment_names_every_variable_and_no_password() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    used = {match[1]: match for match in VARIABLE.finditer(TEXT)}
    assert set(example) == set(used)
    for name, match in used.items():
        assert example[name] == (match[3] if match[2] == "-" else ""), name


def test_data_is_in_named_volumes_and_mounted_folders_exist() -> None:
    named = set()
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source, target = interpolated(mount).split(":")[:2]
            assert target.startswith("/")
            if source.startswith("./"):
                assert (ROOT / source).is_dir(), source
                assert mount.endswith(":ro"), mount
            else:
                named.add(source)
    assert named == set(COMPOSE["volumes"])


def test_scripts_and_settings_of_a_service_are_in_its_mounts() -> None:
    for service, variable in (("temporal-schema", None), ("temporal-namespace", None), ("temporal", "DYNAMIC_CONFIG")):
        mounted = dict(mount.split(":")[1::-1] for mount in SERVICES[service]["volumes"] if mount.startswith("./"))
        named = [text for text in strings(SERVICES[service]) if any(text.startswith(f"{at}/") for at in mounted)]
        assert named, (service, variable)
        for text in named:
            at = next(at for at in mounted if text.startswith(f"{at}/"))
            assert (ROOT / mounted[at] / text.removeprefix(f"{at}/")).is_file(), text


def test_worker_service_can_be_scaled() -> None:
    worker = SERVICES["worker"]
    assert {"container_name", "ports", "deploy"}.isdisjoint(worker)


def test_grace_period_of_worker_service_exceeds_that_of_worker() -> None:
    given = SERVICES["worker"]["stop_grace_period"]
    assert int(given.removesuffix("s")) > GRACE.total_seconds()


def test_server_has_the_settings_of_the_embedded_server() -> None:
    settings = yaml.safe_load((ROOT / "ops/dynamicconfig/perdure.yaml").read_text(encoding="utf-8"))
    assert {key: constraints[0]["value"] for key, constraints in settings.items()} == DYNAMIC_CONFIG


def test_dockerignore_lets_through_what_dockerfile_copies() -> None:
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copies = re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    copied = [source for line in copies for source in line.split()[:-1]]
    assert len(copied) >= 8
    for source in copied:
        assert f"!{source}" in allowed
        assert (ROOT / source).exists(), source
