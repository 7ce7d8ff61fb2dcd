"""All gates in order: what is skipped, what is told, and when a verdict passes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from agentflow.events import Event, GateFinished, GateStarted
from agentflow.gates import verify
from agentflow.records import Status
from agentflow.results import Candidate, Evidence, Verdict

CANDIDATE = Candidate("b" * 40, "t" * 40)


@dataclass
class Fixed:
    """A gate with a known result."""

    name: str
    status: Status

    async def measure(self, candidate: Candidate) -> Evidence:
        assert candidate is CANDIDATE
        return Evidence(self.name, self.status, "measured")


@dataclass
class Listening:
    """An audit with a known result, which remembers what it was given."""

    name: str
    status: Status
    heard: list[str] = field(default_factory=list[str])

    async def compare(self, candidate: Candidate, measured: Sequence[Evidence]) -> Evidence:
        assert candidate is CANDIDATE
        self.heard += [evidence.gate for evidence in measured]
        return Evidence(self.name, self.status, "compared")


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


async def test_audits_come_after_all_gates_and_hear_of_everything_before() -> None:
    events: list[Event] = []
    first, second = Listening("contract", "failed"), Listening("checklist", "passed")

    verdict = await verify(
        [Fixed("build:x", "passed"), Fixed("secrets", "passed")],
        CANDIDATE,
        events.append,
        [first, second],
    )

    names = ["build:x", "secrets", "contract", "checklist"]
    assert [evidence.gate for evidence in verdict.evidence] == names
    assert (first.heard, second.heard) == (names[:2], names[:3])
    assert [e.gate for e in events if isinstance(e, GateStarted)] == names
    assert [e.evidence for e in events if isinstance(e, GateFinished)] == [*verdict.evidence]
    assert not verdict.passed


async def test_an_audit_alone_verifies_nothing() -> None:
    verdict = await verify(
        [Fixed("commit", "passed")], CANDIDATE, lambda _: None, [Listening("contract", "passed")]
    )
    assert not verdict.passed


async def test_after_a_decisive_failure_audits_are_skipped() -> None:
    audit = Listening("contract", "passed")
    verdict = await verify([Fixed("boundaries", "failed")], CANDIDATE, lambda _: None, [audit])

    assert verdict.evidence[-1] == Evidence("contract", "skipped", "the boundaries gate failed")
    assert audit.heard == []
