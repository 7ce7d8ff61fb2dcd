"""Gates: what agentflow measures itself before it believes that a task is done."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from agentflow.events import GateFinished, GateStarted
from agentflow.interfaces import Audit, Emit, Gate
from agentflow.results import Candidate, Evidence, Verdict

DECISIVE = frozenset({"commit", "boundaries", "setup"})
"""Gates without which there is nothing that the others could judge."""


async def verify(
    gates: Sequence[Gate], candidate: Candidate, emit: Emit, audits: Sequence[Audit] = ()
) -> Verdict:
    """Measure every gate in order, then let every audit compare claims with what was measured.

    What comes after a failed decisive gate is skipped. An audit sees the evidence of all gates
    and of the audits before it.
    """
    evidence: list[Evidence] = []
    for gate in gates:
        evidence.append(await _judged(gate.name, partial(gate.measure, candidate), evidence, emit))
    for audit in audits:
        compare = partial(audit.compare, candidate, tuple(evidence))
        evidence.append(await _judged(audit.name, compare, evidence, emit))
    return Verdict(tuple(evidence))


async def _judged(
    name: str,
    judge: Callable[[], Awaitable[Evidence]],
    before: Sequence[Evidence],
    emit: Emit,
) -> Evidence:
    """The evidence of one gate or audit, told to the world."""
    blocked = next((e.gate for e in before if e.status == "failed" and e.gate in DECISIVE), None)
    if blocked and name not in DECISIVE:
        found = Evidence(name, "skipped", f"the {blocked} gate failed")
    else:
        emit(GateStarted(name))
        started = time.monotonic()
        found = await judge()
        found = replace(found, seconds=round(time.monotonic() - started, 3))
    emit(GateFinished(found))
    return found
