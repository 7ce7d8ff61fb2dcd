"""All gates in order: what is skipped, what is told, and when a verdict passes."""

from dataclasses import dataclass, replace

from agentflow.events import Event, GateFinished, GateStarted
from agentflow.gates import verify
from agentflow.records import Candidate, Evidence, Status, Verdict

CANDIDATE = Candidate("b" * 40, "t" * 40)


@dataclass
class Fixed:
    """A gate with a known result."""

    name: str
    status: Status

    async def measure(self, candidate: Candidate) -> Evidence:
        assert candidate is CANDIDATE
        return Evidence(self.name, self.status, "measured")


async def judged(*gates: Fixed) -> tuple[list[tuple[str, str, str]], list[Event], Verdict]:
    events: list[Event] = []
    verdict = await verify(gates, CANDIDATE, events.append)
    assert all(evidence.seconds < 5 for evidence in verdict.evidence)
    return [(e.gate, e.status, e.summary) for e in verdict.evidence], events, verdict


async def test_all_are_measured_in_order() -> None:
    found, events, verdict = await judged(Fixed("commit", "passed"), Fixed("build:x", "passed"))

    assert found == [("commit", "passed", "measured"), ("build:x", "passed", "measured")]
    assert verdict.passed
    assert events == [
        GateStarted("commit"),
        GateFinished(verdict.evidence[0]),
        GateStarted("build:x"),
        GateFinished(verdict.evidence[1]),
    ]


async def test_after_a_decisive_failure_the_others_are_skipped() -> None:
    found, events, verdict = await judged(
        Fixed("commit", "failed"), Fixed("boundaries", "passed"), Fixed("build:x", "passed")
    )

    assert found == [
        ("commit", "failed", "measured"),
        ("boundaries", "passed", "measured"),
        ("build:x", "skipped", "the commit gate failed"),
    ]
    assert GateStarted("build:x") not in events
    assert not verdict.passed


async def test_another_failure_stops_nobody() -> None:
    found, _, verdict = await judged(Fixed("tamper", "failed"), Fixed("build:x", "passed"))

    assert [status for _, status, _ in found] == ["failed", "passed"]
    assert not verdict.passed


async def test_without_a_build_gate_nothing_is_verified() -> None:
    _, _, verdict = await judged(Fixed("commit", "passed"))
    assert not verdict.passed

    skipped = replace(verdict.evidence[0], gate="build:x", status="skipped")
    assert not Verdict((*verdict.evidence, skipped)).passed
