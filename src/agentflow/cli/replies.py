"""`--record` and `--replay`: where a run's replies go to, and where they come from."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agentflow.frozen import record

if TYPE_CHECKING:
    from agentflow.plan import Plan
    from agentflow.run import Connect, OpenModel
    from agentflow.world import World


@record
class Replies:
    """Another way to a model than straight to it."""

    through: "Callable[[World, Connect], Connect]"
    """From the straight way to this one."""
    offline: bool
    """Whether no model is needed."""


def given_replies(record: Path | None, replay: Path | None) -> Replies | None:
    """What the flags say. Raises `UsageError` for both, and for a file that is no recording."""
    from agentflow.errors import UsageError

    if record and replay:
        raise UsageError("--record and --replay exclude each other", hint="Give one of them.")
    if replay:
        return Replies(_replaying(replay), offline=True)
    return Replies(_recording(record), offline=False) if record else None


def _replaying(path: Path) -> "Callable[[World, Connect], Connect]":
    from agentflow.models.replay import ReplayModel, read_tape

    tape = read_tape(path)

    def connect(plan: "Plan") -> "OpenModel":
        return lambda: ReplayModel(tape, plan.prompt.sha256)

    return lambda _world, _straight: connect


def _recording(path: Path) -> "Callable[[World, Connect], Connect]":
    def through(world: "World", straight: "Connect") -> "Connect":
        def connect(plan: "Plan") -> "OpenModel":
            from agentflow.models.recording import Recording, RecordingModel
            from agentflow.staging import redactor_of

            open_model = straight(plan)
            recording = Recording(
                path,
                {
                    "model": plan.model,
                    "task": plan.task.id,
                    "prompt": plan.prompt.name,
                    "prompt_sha256": plan.prompt.sha256,
                },
            )
            redact = redactor_of(plan, world.environment)
            return lambda: RecordingModel(open_model(), recording, redact)

        return connect

    return through
