"""The types of settings' values, as people write them."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
)

from agentflow.durations import parse_duration
from agentflow.errors import UsageError
from agentflow.globs import check_glob
from agentflow.sizes import parse_size

VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


def as_seconds(value: Any) -> Any:
    """`45m` and `2700` alike."""
    try:
        return parse_duration(value, where="") if isinstance(value, str) else value
    except UsageError as error:
        raise ValueError("not a duration like 45m, 90s or 1h30m") from error


def as_bytes(value: Any) -> Any:
    """`4GiB` and `4294967296` alike."""
    try:
        return parse_size(value, where="") if isinstance(value, str) else value
    except UsageError as error:
        raise ValueError("not a size like 4GiB, 500MB or 1048576") from error


def _as_glob(value: str) -> str:
    """A glob in its normal form: `./src/**` is `src/**`."""
    try:
        return check_glob(value, where="glob")
    except UsageError as error:
        raise ValueError(error.message) from error


Globs = tuple[Annotated[str, AfterValidator(_as_glob)], ...]
"""Relative to the repository's root."""
Seconds = Annotated[float, BeforeValidator(as_seconds), Field(gt=0, allow_inf_nan=False)]
Size = Annotated[int, BeforeValidator(as_bytes), Field(gt=0, le=1 << 60)]
Count = Annotated[int, Field(gt=0, le=1 << 30)]
VariableName = Annotated[str, Field(pattern=VARIABLE)]
Literals = dict[VariableName, str]
AbsolutePath = Annotated[str, Field(pattern="^/")]
