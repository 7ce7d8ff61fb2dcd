"""What a person does next, after a run that has ended."""

from agentflow.commands import enough_in, options_of
from agentflow.folding import with_commands_apart
from agentflow.records import Json
from agentflow.words import word

RESUME = "agentflow resume"


def command_after(report: Json) -> str:
    """The command that goes on after a run that is not done, by its report's fields; empty if its
    hint has all there is to say."""
    again = report.get("again") or "the same command"
    if _says_all(report):
        return ""
    if report.get("replay"):
        return f"{again} --replay FILE"
    return command_alone(report) or again


def command_alone(report: Json) -> str:
    """The command that goes on with this very run, whatever it is a part of; empty if that begins
    another one, or if its hint has all there is to say."""
    if _says_all(report) or report.get("replay"):
        return ""
    match report["outcome"]:
        case "blocked":
            return f"agentflow answer {word(report['run'])} 'your answer'"
        case "budget" | "interrupted" | "provider" | "environment" if report.get("num_turns"):
            return " ".join((RESUME, word(report["run"]), *(options_of(enough_in(report)) or ())))
        case _:
            return ""


def _says_all(report: Json) -> bool:
    """Whether a run's own hint has all there is to say: nothing that goes on takes a recording."""
    hint, outcome = str(report.get("hint") or ""), report["outcome"]
    return bool(hint) and (
        bool(report.get("replay"))
        or outcome == "blocked"
        or (outcome == "conflict" and ": agentflow " in hint)
    )


def is_told(hint: str, command: str) -> bool:
    """Whether a hint names the command, or how the run goes on."""
    return command in hint or f"{RESUME} " in hint


def told_after(hint: str, command: str) -> str:
    """A hint, and on a line of its own the command that goes on after it."""
    if not hint or not command or is_told(hint, command):
        return hint or command
    return f"{hint}\n{command}"


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
    return with_commands_apart(hint).split("\n") if hint else []


def with_next_step(report: Json) -> Json:
    """A run's report whose hint is the whole next step, as its text says it."""
    return {**report, "hint": next_step(report)}
