"""Repairs: what the agent is told about a failed verdict, or about a result that clashed with others',
and when telling it again is no use."""

import re

from agentflow.events import Clashed
from agentflow.results import Evidence, Verdict

_INTRODUCTION = (
    "Your result was checked on a clean checkout of the commit and did not pass. "
    "Mend what is named here, then end as before, with a complete last message: what you said "
    "earlier is not read again."
)


def repair_message(verdict: Verdict) -> str:
    """The failed gates with their evidence, as the agent's next message."""
    parts = [_INTRODUCTION]
    for evidence in verdict.failures:
        parts.append(f"## {evidence.gate}: {evidence.summary}")
        if evidence.detail:
            fence = _fence(evidence.detail)
            parts.append(f"{fence}\n{evidence.detail}\n{fence}")
    passed = [e.gate for e in verdict.evidence if e.status == "passed"]
    if passed:
        parts.append(f"Passed: {', '.join(passed)}.")
    if not verdict.failures:
        parts.append("No build gate could be run.")
    return "\n\n".join(parts)


def _fence(text: str) -> str:
    """A fence longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    return "`" * (longest + 1)


def same_failure(earlier: Verdict, later: Verdict) -> bool:
    """Whether two verdicts failed in the same way, numbers aside (they hold times and lines)."""
    return bool(later.failures) and _signature(earlier) == _signature(later)


def _signature(verdict: Verdict) -> list[str]:
    return [_plain(evidence) for evidence in verdict.failures]


def _plain(evidence: Evidence) -> str:
    return re.sub(r"[0-9a-f]{7,}|\d+", "#", f"{evidence.gate} {evidence.summary} {evidence.detail}")


def clash_message(clash: Clashed) -> str:
    """What an agent is told whose result did not fit."""
    if clash.paths:
        how = f"both changed {', '.join(clash.paths[:20])}"
    else:
        how = "the checks fail on both together"
    return (
        "---\n\n# This task was done before, and the result did not fit\n\n"
        f"Others landed meanwhile, and {how}. You start from where the branch is now, with their work "
        "in it. Do the task here, so that theirs keeps working.\n\n"
        f"{clash.detail}"
    )
