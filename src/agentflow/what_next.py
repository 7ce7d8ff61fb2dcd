"""What a person does next, after a run that has ended."""

import shlex

from agentflow.commands import RAISING, raised_in
from agentflow.folding import with_commands_apart
from agentflow.records import Json
from agentflow.words import word

RESUME = "agentflow resume"
_THEN = "; then: "


def command_after(report: Json) -> str:
    """The command that goes on after a run that is not done, by its report's fields; empty if its
    hint has all there is to say."""
    hint, again = str(report.get("hint") or ""), report.get("again") or "the same command"
    if _says_all(report, hint):
        return ""
    block = ", with the same block" if str(report["task"]).startswith("HANDOFF-") else ""
    match report["outcome"]:
        case _ if report.get("replay"):
            return f"{again} --replay FILE"
        case "budget" | "interrupted" | "provider" | "environment" if report.get("num_turns"):
            return _raised(f"{RESUME} {word(report['run'])}", hint)
        case "blocked":
            return f"agentflow answer {word(report['run'])} 'your answer'"
        case _:
            return f"{_raised(again, hint)}{block}"


def _says_all(report: Json, hint: str) -> bool:
    """Whether a run's own hint has all there is to say: nothing that goes on takes a recording."""
    outcome, turns = report["outcome"], report.get("num_turns")
    return bool(hint) and (
        bool(report.get("replay"))
        or (outcome == "environment" and not turns)
        or outcome == "blocked"
        or (outcome == "conflict" and ": agentflow " in hint)
    )


def _raised(command: str, hint: str) -> str:
    """A command with the limits that a hint raises, instead of its own."""
    raised = {f"--{name.replace('_', '-')}": value for name, value in raised_in(hint).items()}
    if not raised or not command.startswith("agentflow "):
        extra = [f"{option} {value}" for option, value in raised.items()]
        return " with ".join(filter(None, (command, " ".join(extra))))
    words = iter(shlex.split(command))
    kept = [each for each in words if each not in raised or not next(words, "")]
    return shlex.join([*kept, *(each for pair in raised.items() for each in pair)])


def is_told(hint: str, command: str) -> bool:
    """Whether a hint names the command, or how the run goes on."""
    return command in hint or f"{RESUME} " in hint


def told_after(hint: str, command: str) -> str:
    """A hint and the command that goes on after it, as one text."""
    if not hint or not command or is_told(hint, command):
        return hint or command
    if hint.startswith(RAISING):
        return f"Raise it: {command}"
    return f"{hint.rstrip('.')}{_THEN}{command}"


def next_step(report: Json) -> str:
    """What is to be done after a run: what its report says, and the command that goes on; empty if
    nothing is left to do."""
    hint = str(report["hint"])
    return hint if report["outcome"] == "done" else told_after(hint, command_after(report))


def next_lines(report: Json) -> list[str]:
    """The next step on lines: a command on one of its own, where it can be copied."""
    return step_lines(next_step(report))


def step_lines(hint: str) -> list[str]:
    """A next step on lines: each command on one of its own."""
    steps = filter(None, hint.split(_THEN))
    return [line for step in steps for line in with_commands_apart(step).split("\n")]


def with_next_step(report: Json) -> Json:
    """A run's report whose hint is the whole next step, as its text says it."""
    return {**report, "hint": next_step(report)}
