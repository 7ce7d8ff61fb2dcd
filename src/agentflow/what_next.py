"""What a person does next, after a run that has ended."""

from agentflow.records import Json
from agentflow.words import word

RESUME = "agentflow resume"
_THEN = "; then: "


def command_after(report: Json) -> str:
    """The command that goes on after a run that is not done, by its report's fields; empty if its
    hint has all there is to say."""
    if report.get("replay"):  # nothing that goes on takes it
        return "" if report.get("hint") else "the same command"
    block = ", with the same block" if str(report["task"]).startswith("HANDOFF-") else ""
    match report["outcome"]:
        case "budget" | "interrupted" | "provider" | "environment" if report.get("num_turns"):
            return f"{RESUME} {word(report['run'])}"
        case "environment" | "blocked" if report.get("hint"):
            return ""
        case "blocked":
            return f"agentflow answer {word(report['run'])} 'your answer'"
        case _:
            return f"{report.get('again') or 'the same command'}{block}"


def is_told(hint: str, command: str) -> bool:
    """Whether a hint names the command, or how the run goes on."""
    return command in hint or f"{RESUME} " in hint


def told_after(hint: str, command: str) -> str:
    """A hint and the command that goes on after it, as one text."""
    if not hint or not command or is_told(hint, command):
        return hint or command
    return f"{hint.rstrip('.')}{_THEN}{command}"


def next_step(report: Json) -> str:
    """What is to be done after a run: what its report says, and the command that goes on; empty if
    nothing is left to do."""
    hint = str(report["hint"])
    return hint if report["outcome"] == "done" else told_after(hint, command_after(report))


def next_lines(report: Json) -> list[str]:
    """The next step on lines: a command on one of its own, where it can be copied."""
    return list(filter(None, next_step(report).split(_THEN)))


def with_next_step(report: Json) -> Json:
    """A run's report whose hint is the whole next step, as its text says it."""
    return {**report, "hint": next_step(report)}
