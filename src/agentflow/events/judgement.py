"""What agentflow itself finds about the result."""

from typing import ClassVar

from agentflow.frozen import record
from agentflow.records import Json
from agentflow.results import Evidence


@record
class BaseCheckStarted:
    """Emitted when a gate's command begins on the base, before any spend."""

    type: ClassVar[str] = "agentflow.base_check_started"
    durable: ClassVar[bool] = False
    gate: str


@record
class BaseCheckFinished:
    """Emitted when it is known how a gate's command ends on the base."""

    type: ClassVar[str] = "agentflow.base_check_finished"
    durable: ClassVar[bool] = True
    evidence: Evidence
    cached: bool
    """Whether an earlier run measured it."""
    must_fail: bool = False
    """Whether the gate is to fail before the change."""


@record
class GateStarted:
    """Emitted when a gate begins."""

    type: ClassVar[str] = "agentflow.gate_started"
    durable: ClassVar[bool] = False
    gate: str


@record
class GateFinished:
    """Emitted when a gate has measured."""

    type: ClassVar[str] = "agentflow.gate_finished"
    durable: ClassVar[bool] = True
    evidence: Evidence


@record
class RepairStarted:
    """Emitted when a failed verdict goes back to the agent."""

    type: ClassVar[str] = "agentflow.repair_started"
    durable: ClassVar[bool] = True
    attempt: int
    """From 1."""
    of: int


@record
class PromisesCompared:
    """Emitted after `Collected` if there are promises that the report may claim."""

    type: ClassVar[str] = "agentflow.promises_compared"
    durable: ClassVar[bool] = True
    promises: Json
    """As `gates.promises.compare_promises` says."""


@record
class ReplyMeasured:
    """Emitted after verification of a handoff's work: what whoever handed it over can consume."""

    type: ClassVar[str] = "agentflow.reply_measured"
    durable: ClassVar[bool] = True
    reply: Json
    """As `replies.measure_reply` says."""


@record
class Verified:
    """Emitted when the commits that are to land are there, signed and written down."""

    type: ClassVar[str] = "agentflow.verified"
    durable: ClassVar[bool] = True
    base: str
    tip: str
