"""What a caller asked for, in a form that outlives the call."""

from collections.abc import Mapping
from dataclasses import asdict, field, replace
from typing import Any

from agentflow.frozen import record
from agentflow.records import Json, Task


@record
class Order:
    """What the caller asked for."""

    task: str | None = None
    """An id or a path."""
    text: str | None = None
    """Free text instead of a task file."""
    base: str | None = None
    fresh: bool = False
    resume: str | None = None
    """The run to go on with."""
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Settings given as flags."""
    arguments: str | None = None
    """For a prompt that is a command file; None means that none were given."""
    made: Task | None = None
    """A task that the caller made, instead of a file or text."""
    answer: str | None = None
    """A person's words to an agent that asked."""
    named: str | None = None
    """The name of the run, if it had to ask before it began."""
    asked_base: str | None = None
    """The base as the caller named it, who may have named none; `base` may be one that we chose."""
    shared_target: bool = False
    """Whether others land on the same branch meanwhile: then the result is merged with theirs."""

    @property
    def as_json(self) -> Json:
        """What a later process needs to ask for the same."""
        made = None if self.made is None else {**asdict(self.made), "path": _text(self.made.path)}
        return {
            "task": self.task,
            "text": self.text,
            "flags": dict(self.flags),
            "arguments": self.arguments,
            "made": made,
            "base": self.asked_base,
            "fresh": self.fresh,
            "shared_target": self.shared_target,
        }


def _text(path: object) -> str | None:
    return None if path is None else str(path)


def read_order(said: Json, *, base: str, resume: str) -> Order:
    """The order of a run, to go on with it. Raises `ValueError` for what is none."""
    from pydantic import TypeAdapter  # 30 ms that only a run that goes on needs

    order = TypeAdapter(Order).validate_python(said)
    return replace(order, asked_base=order.base, base=base, fresh=False, resume=resume)
