"""Commands that ask for what was asked for before, written out so that a shell takes them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from agentflow.durations import write_duration
from agentflow.frozen import record
from agentflow.records import Json, Limits
from agentflow.words import word

_SINGLE = (
    *("prompt", "profile", "model", "fallback_model", "base_url"),
    *("max_turns", "max_cost", "max_tokens", "max_input_tokens", "max_output_tokens", "timeout"),
    *("land", "target", "sandbox", "setup_network"),
)
"""Settings that are an option with one value each."""
_SWITCHES = ("allow_red_base", "allow_foreign_head")
_LISTS = ("allow", "deny")
_LONGEST = 200
"""Characters of a text that is written out as a part of a command."""
_HANDOFF = re.compile(r"HANDOFF-[0-9a-f]{8}")
"""The id of a handoff whose block is kept; that of a part of one has a number behind it."""
_BATCHES = ("prompt", "phase-6")
"""What runs of batches are given without an option."""
_MOST = 1e15
"""A limit that is not reached is none."""


def enough_in(report: Mapping[str, Any]) -> dict[str, float]:
    """The limits with which a run could go on, by its report, which anybody may have written."""
    said = report.get("enough")
    found = cast(Json, said) if isinstance(said, dict) else {}
    return {name: found[name] for name in Limits.__annotations__ if _is_limit(found.get(name))}


def _is_limit(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _MOST


def _option(name: str, value: object) -> str:
    """An option of a setting with one value: `--max-turns 8`."""
    if name == "timeout" and isinstance(value, int | float):
        value = write_duration(value)
    elif isinstance(value, float):
        value = f"{value:.15g}"
    return f"--{name.replace('_', '-')} {word(value)}"


def options_of(flags: Mapping[str, Any]) -> list[str] | None:
    """The options that give these settings; None where one of them has none."""
    if not {*flags} <= {*_SINGLE, *_SWITCHES, *_LISTS, "gates"}:
        return None
    lists = [f"--{name} {word(each)}" for name in _LISTS for each in flags.get(name, ())]
    gates = [
        f"--{'new-' if gate.get('must_fail_on_base') else ''}gate "
        + word(f"{gate['name']}={gate['command']}")
        for gate in flags.get("gates", ())
    ]
    single = [_option(name, flags[name]) for name in _SINGLE if name in flags]
    switches = [f"--{name.replace('_', '-')}" for name in _SWITCHES if flags.get(name)]
    return [*single, *lists, *gates, *switches]


def run_command(
    names: Sequence[str], flags: Mapping[str, Any], base: str | None = None, *more: str
) -> str | None:
    """`agentflow run` with what is named and these settings; None where that is no command."""
    return _command(["agentflow run", *map(word, names)], base, flags, more)


def _command(
    begin: Sequence[str], base: str | None, flags: Mapping[str, Any], more: Sequence[str]
) -> str | None:
    """A command on one line; None for settings that are no options, or that need more lines."""
    based, options = [f"--base {word(base)}"] if base else [], options_of(flags)
    command = " ".join((*begin, *based, *(options or ()), *more))
    return command if options is not None and command.isprintable() else None


def batches_command(
    task: str, flags: Mapping[str, Any], base: str | None = None, *more: str
) -> str | None:
    """`agentflow phase-6` for a task with the settings of its batches' runs; None where that is no
    command."""
    given = {_BATCHES, ("target", f"agentflow/{task}")}
    kept = {
        name: each
        for name, each in flags.items()
        if name != "land" and not (isinstance(each, str) and (name, each) in given)
    }
    return _command(["agentflow phase-6", word(task)], base, kept, more)


def handoff_command(
    handoff: str, flags: Mapping[str, Any], base: str | None = None, *more: str
) -> str | None:
    """`agentflow handoff` for one that was pasted before; None where that is no command."""
    return _command(["agentflow handoff", word(handoff)], base, flags, more)


def again(
    order: object, changes: Mapping[str, Any] | None = None, unknown: str = "the same command"
) -> str:
    """The command that asks for the same as an order (`order.as_json`, or whatever a repository
    brings as one), with other settings, another `base`, `fresh`, or to `retry` a failed batch.

    `unknown` is said of one that is not known: that of a handoff's part, or of a text that is too
    long to be copied as a part of a command.
    """
    try:
        return _again(cast(Json, order), changes or {}, unknown)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return _again({}, changes or {}, unknown)


def _again(order: Json, changes: Mapping[str, Any], unknown: str) -> str:
    base, fresh = changes.get("base", order.get("base")), changes.get("fresh", order.get("fresh"))
    ways = {"base", "fresh", "retry"}
    settings = {name: each for name, each in changes.items() if name not in ways}
    flags: Json = {**order.get("flags", {}), **settings}
    text, arguments = order.get("text"), order.get("arguments")
    made: Json = order.get("made") or {}
    document: str = made.get("tracking_id") or ""
    more = [] if arguments is None else [f"--arguments {word(arguments)}"]
    more += ["--fresh"] if fresh else []
    command = None
    if order.get("task"):
        command = run_command([order["task"]], flags, base, *more)
    elif text and len(text) <= _LONGEST and text.isprintable():
        command = run_command([], flags, base, f"--text {word(text)}", *more)
    elif made.get("handed") and _HANDOFF.fullmatch(made["id"]):
        command = handoff_command(made["id"], flags, base, *more)
    elif document:
        retried = ["--retry"] if changes.get("retry") else []
        command = batches_command(document, flags, None, *retried)
    given = {**({"base": base} if base else {}), **settings}
    extra = [_option(name, each) for name, each in given.items()]
    extra += ["--fresh"] if fresh and not order.get("fresh") else []
    return command or (f"{unknown} with {' '.join(extra)}" if extra else unknown)


@record
class TasksCommand:
    """A command that runs several tasks, to be given again."""

    names: Sequence[str]
    """Empty where it runs all that are ready."""
    flags: Mapping[str, Any]
    base: str | None = None
    more: tuple[str, ...] = ()
    """Its other options, but for `--fresh`: that would begin anew what is done."""

    def again(self, enough: Mapping[str, float]) -> str:
        """The command that goes on with what is left, and repeats nothing that is done; `enough` are
        limits that it gives instead of its own."""
        names, flags = self.names or ["--all"], {**self.flags, **enough}
        return run_command(names, flags, self.base, *self.more) or "the same command"
