"""Profiles: who commits, how the end is signalled, what a prompt returns."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from agentflow.errors import UsageError
from agentflow.nearest import nearest
from agentflow.records import Commits, Completion, Json, Profile

VARIABLES = ("{TASK_ID}", "TASK-XXX")
"""Placeholders that are filled in every prompt; a profile may name more."""


def _parsed(value: Any) -> Any:
    """JSON text, read."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error


class _Fields(BaseModel):
    """The `agentflow:` block of a prompt's header."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variables: tuple[str, ...] = ()
    commits: Commits = "orchestrator"
    completion: Completion = "message"
    output_schema: Annotated[Json | None, BeforeValidator(_parsed)] = None
    documents: tuple[str, ...] = ()


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
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        near = nearest(key, _Fields.model_fields) if first["type"] == "extra_forbidden" else ""
        raise UsageError(f"{where}: agentflow.{key}: {first['msg']}{near}") from error
    return Profile(
        fields.variables,
        fields.commits,
        fields.completion,
        fields.output_schema,
        fields.documents,
    )
