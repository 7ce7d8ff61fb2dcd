"""Where a run is, from its events."""

from agentflow.events import RepairStarted, RunResumed, TextDelta, ToolStarted, UserMessage
from agentflow.progress import Progress, progressed

RESUMED = RunResumed(3, "TASK-1-20260101T000000-abcd", 1, "m")


def test_a_run_that_goes_on_amid_a_turn_is_the_agents() -> None:
    before = progressed(Progress(), RESUMED, 0)
    assert (before.phase, before.doing) == ("preparing", "work tree")
    for event in (ToolStarted("1", "Bash", "make"), TextDelta("I")):
        assert progressed(before, event, 1).phase == "agent"


def test_a_repair_stays_one() -> None:
    repair = progressed(Progress(), RepairStarted(1, 2), 0)
    for event in (ToolStarted("1", "Bash", "make"), UserMessage({}, "repair")):
        assert progressed(repair, event, 1).phase == "repair 1/2"
