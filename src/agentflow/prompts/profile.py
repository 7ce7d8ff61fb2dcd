"""Profiles: who commits, how the end is signalled, what a prompt returns."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from agentflow.errors import UsageError
from agentflow.globs import check_glob, is_path
from agentflow.json_schema import check_schema
from agentflow.records import Commits, Completion, Json, Profile, Section
from agentflow.strict_json import parse_object
from agentflow.wrong_values import what_is_wrong

VARIABLES = ("{TASK_ID}", "TASK-XXX")
"""Placeholders that are filled in every prompt; a profile may name more."""


def _schema(value: Any) -> Any:
    """A schema given as JSON text or as YAML. All YAML scalars arrive as text, so one with numbers
    or booleans must be JSON."""
    schema = parse_object(value) if isinstance(value, str) else value
    if isinstance(schema, dict):
        check_schema(schema)  # pyright: ignore[reportUnknownArgumentType] - it checks the keys too
    return schema  # pyright: ignore[reportUnknownVariableType] - pydantic checks it next


class _Fields(BaseModel):
    """The `agentflow:` block of a prompt's header."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variables: tuple[str, ...] = ()
    commits: Commits = "orchestrator"
    completion: Completion = "message"
    output_schema: Annotated[Json | None, BeforeValidator(_schema)] = None
    documents: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()


def read_profile(block: object, *, where: str) -> Profile:
    """Read an `agentflow:` block; None gives the default profile.

    The default suits a file written for any tool: an agent's own commits are kept, what it leaves
    uncommitted is committed for it, and the end of its last turn is the end.
    Raises `UsageError` naming `where` and the key.
    """
    if block is None:
        return Profile()
    if not isinstance(block, dict):
        raise UsageError(f"{where}: `agentflow:` must hold `key: value` lines")
    try:
        fields = _Fields.model_validate(block)
    except ValidationError as error:
        key, told = what_is_wrong(error, _Fields, block)
        place = f"agentflow.{key}" if key else "agentflow"
        raise UsageError(f"{where}: {place}: {told}") from error
    return Profile(
        fields.variables,
        fields.commits,
        fields.completion,
        fields.output_schema,
        fields.documents,
        fields.sections,
    )


def missing_documents(profile: Profile, exists: Callable[[str], bool]) -> tuple[str, ...]:
    """The documents that the prompt must read and that are not there.

    A document named literally is required; one that a glob stands for is read if it exists.
    """
    required = [check_glob(path.lstrip("/"), where="documents") for path in profile.documents]
    return tuple(path for path in required if is_path(path) and not exists(path))
