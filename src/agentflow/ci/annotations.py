"""Annotations: commands by which GitHub's runner shows an error at a line of a file."""

from collections.abc import Iterator, Sequence

from agentflow.ci.judged import Judged
from agentflow.neutral import annotation
from agentflow.words import counted

MOST = 10
"""GitHub shows ten errors of a step, and drops the others."""


def annotations(judged: Sequence[Judged]) -> list[str]:
    """The commands, one a line; what is left out is counted in the last one."""
    found = list(_all(judged))
    if len(found) <= MOST:
        return found
    more = annotation(
        f"{counted(len(found) - MOST + 1, 'more error')}: see the report", title="agentflow"
    )
    return [*found[: MOST - 1], more]


def _all(judged: Sequence[Judged]) -> Iterator[str]:
    for each in judged:
        failed = [evidence for evidence in each.evidence if evidence.status == "failed"]
        for evidence in failed:
            title = f"{each.name}: {evidence.gate}"
            for fault in evidence.faults:
                yield annotation(fault.text, title=title, path=fault.path, line=round(fault.line))
            if not evidence.faults:
                detail = evidence.detail[-1500:]
                yield annotation(f"{evidence.summary}\n{detail}".strip(), title=title)
        if not (each.passed or each.skipped or failed):
            told = "\n".join(filter(None, (each.reason or each.outcome, each.hint)))
            yield annotation(told, title=f"{each.name}: {each.outcome}")
