"""The environment variables of Perdure, one field each.

A value that cannot be used is refused with one sentence.
"""

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from orchestration.settings.service_list import parse_services
from perdure.documents.limits import Limits
from perdure.errors import InvalidConfiguration
from perdure.stores.objects.address import check_url

if TYPE_CHECKING:
    from perdure.documents.extraction.ocr import Ocr

Model = TypeVar("Model", bound=BaseModel)
DEFAULT_TASK_QUEUE = "perdure"
_LIMIT_PREFIX = "PERDURE_LIMIT_"


def _check_database_url(value: str) -> str:
    """Return the address itself. A refusal does not show the address, which may hold a password."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("postgres", "postgresql") and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise InvalidConfiguration(
            "DATABASE_URL must be an address of the form postgresql://user:password@host:port/database."
        )
    return value


class Variables(BaseModel):
    """The variables of Perdure, apart from limits and OCR.

    The alias of a field is the variable's name. The description says what a value must be; the sentence that refuses a
    value quotes the description.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    database_url: Annotated[str, BeforeValidator(_check_database_url)] | None = Field(
        default=None, alias="DATABASE_URL", repr=False
    )
    """Address of the database; None for the embedded database."""
    task_queue: str = Field(default=DEFAULT_TASK_QUEUE, alias="PERDURE_TASK_QUEUE")
    file_checkpoints: Literal["0", "1"] = Field(default="1", alias="PERDURE_FILE_CHECKPOINTS", description="0 or 1")
    checkpoint_url: Annotated[str, BeforeValidator(check_url)] | None = Field(
        default=None, alias="PERDURE_CHECKPOINT_URL", repr=False
    )
    """URL of the checkpoint objects; None to write no objects."""
    pool_workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        alias="PERDURE_POOL_WORKERS",
        ge=1,
        le=256,
        description="a whole number from 1 to 256",
    )
    external_services: Annotated[Mapping[str, str], BeforeValidator(parse_services)] = Field(
        default={}, alias="PERDURE_SERVICES", repr=False
    )
    """Name to address of each configured service."""


def read_variables(environment: Mapping[str, str]) -> Variables:
    """Return the values of the variables; an empty variable counts as unset.

    Raises:
        InvalidConfiguration: a value cannot be used; the message names its variable.
    """
    return _validate(Variables, environment)


def read_limits(environment: Mapping[str, str]) -> Limits:
    """Return the limits of a document's processing.

    The variable that `limit_variable` names sets each limit.

    Raises:
        InvalidConfiguration: a value is not a positive number.
    """
    return Limits(**_validate(_LIMIT_VARIABLES, environment).model_dump())


def limit_variable(name: str) -> str:
    """Return the name of the variable that sets a field of `Limits`."""
    return _LIMIT_PREFIX + name.upper()


def read_ocr(environment: Mapping[str, str]) -> "Ocr | None":
    """Return the text recognition that `PERDURE_OCR` asks for; None if it asks for none.

    Raises:
        InvalidConfiguration: the text recognition cannot be done on this machine.
    """
    if not environment.get("PERDURE_OCR"):
        return None
    from perdure.documents.extraction.ocr import read_ocr_setting  # noqa: PLC0415 - heavy, and seldom asked for

    return read_ocr_setting(environment)


def data_dir_from(environment: Mapping[str, str] | None = None) -> Path:
    """Return the data folder, absolute: `PERDURE_DATA_DIR`, else `data` in the current folder.

    Args:
        environment: the variables; by default those of this process.

    Raises:
        InvalidConfiguration: the value is not a usable path.
    """
    value = (os.environ if environment is None else environment).get("PERDURE_DATA_DIR") or "data"
    try:
        return Path(value).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidConfiguration(f"PERDURE_DATA_DIR is '{value}', which is not a usable path: {error}.") from error


def _limit_fields() -> dict[str, Any]:
    """Return one field for each limit, with the type and default of the limit."""
    described = {int: "a positive whole number", float: "a positive number"}
    kinds = get_type_hints(Limits)
    return {
        limit.name: (
            kinds[limit.name],
            Field(
                default=limit.default,
                alias=limit_variable(limit.name),
                gt=0,
                allow_inf_nan=False if kinds[limit.name] is float else None,
                description=described[kinds[limit.name]],
            ),
        )
        for limit in fields(Limits)
    }


_LIMIT_VARIABLES = create_model("_LIMIT_VARIABLES", **_limit_fields())


def _validate(model: type[Model], environment: Mapping[str, str]) -> Model:
    try:
        return model.model_validate({name: value for name, value in environment.items() if value})
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        wanted = next(field.description for field in model.model_fields.values() if field.alias == name)
        raise InvalidConfiguration(f"{name} must be {wanted}, not '{environment[name]}'.") from error
