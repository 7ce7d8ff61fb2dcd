"""Everything that happens in a run, as a union of frozen records.

The journal stores the durable ones and is the message list; sinks see all of them.
"""

from typing import get_args

from agentflow.events.conversation import (
    AgentEnded,
    AssistantMessage,
    ContextReduced,
    ContextSummarized,
    FallbackStarted,
    LimitNear,
    Reference,
    ReplyFailed,
    RetryScheduled,
    TextDelta,
    ToolFinished,
    ToolStarted,
    UserMessage,
)
from agentflow.events.environment import (
    ConnectionClosed,
    PackagesChanged,
    SetupFinished,
    SetupStarted,
)
from agentflow.events.judgement import (
    BaseCheckFinished,
    BaseCheckStarted,
    GateFinished,
    GateStarted,
    PromisesCompared,
    RepairStarted,
    ReplyMeasured,
    Verified,
)
from agentflow.events.run import (
    CheckpointMade,
    Clashed,
    Collected,
    Combined,
    HandoffAsked,
    LandingDone,
    Notice,
    Recorded,
    RunFinished,
    RunResumed,
    RunStarted,
    Signed,
)

__all__ = [
    "EVENTS",
    "AgentEnded",
    "AssistantMessage",
    "BaseCheckFinished",
    "BaseCheckStarted",
    "CheckpointMade",
    "Clashed",
    "Collected",
    "Combined",
    "ConnectionClosed",
    "ContextReduced",
    "ContextSummarized",
    "Event",
    "FallbackStarted",
    "GateFinished",
    "GateStarted",
    "HandoffAsked",
    "LandingDone",
    "LimitNear",
    "Notice",
    "PackagesChanged",
    "PromisesCompared",
    "Recorded",
    "Reference",
    "RepairStarted",
    "ReplyFailed",
    "ReplyMeasured",
    "RetryScheduled",
    "RunFinished",
    "RunResumed",
    "RunStarted",
    "SetupFinished",
    "SetupStarted",
    "Signed",
    "TextDelta",
    "ToolFinished",
    "ToolStarted",
    "UserMessage",
    "Verified",
]

Event = (
    RunStarted
    | HandoffAsked
    | RunResumed
    | CheckpointMade
    | Verified
    | Notice
    | SetupStarted
    | SetupFinished
    | ConnectionClosed
    | UserMessage
    | AssistantMessage
    | ContextReduced
    | ContextSummarized
    | TextDelta
    | RetryScheduled
    | ReplyFailed
    | FallbackStarted
    | LimitNear
    | ToolStarted
    | ToolFinished
    | AgentEnded
    | Collected
    | PackagesChanged
    | PromisesCompared
    | ReplyMeasured
    | Recorded
    | Signed
    | BaseCheckStarted
    | BaseCheckFinished
    | GateStarted
    | GateFinished
    | RepairStarted
    | Combined
    | Clashed
    | LandingDone
    | RunFinished
)

EVENTS: dict[str, type[Event]] = {kind.type: kind for kind in get_args(Event)}
"""Each event by its name in the journal."""
