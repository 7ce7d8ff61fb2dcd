"""Gates: what agentflow measures itself before it believes that a task is done."""

import time
from collections.abc import Sequence
from dataclasses import replace

from agentflow.events import GateFinished, GateStarted
from agentflow.interfaces import Emit, Gate
from agentflow.records import Candidate, Evidence, Verdict

DECISIVE = frozenset({"commit", "boundaries"})
"""Gates without which there is nothing that the others could judge."""


async def verify(gates: Sequence[Gate], candidate: Candidate, emit: Emit) -> Verdict:
    """Measure every gate in order; the ones after a failed decisive gate are skipped."""
    evidence: list[Evidence] = []
    for gate in gates:
        blocked = next(
            (e.gate for e in evidence if e.status == "failed" and e.gate in DECISIVE), None
        )
        if blocked and gate.name not in DECISIVE:
            measured = Evidence(gate.name, "skipped", f"the {blocked} gate failed")
        else:
            emit(GateStarted(gate.name))
            started = time.monotonic()
            measured = await gate.measure(candidate)
            measured = replace(measured, seconds=round(time.monotonic() - started, 3))
        evidence.append(measured)
        emit(GateFinished(measured))
    return Verdict(tuple(evidence))
