"""`agentflow wait`: until a task's run has ended."""

from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.completion import complete_task
from agentflow.cli.output import data, exit_codes, exit_of, print_json, say
from agentflow.cli.submitted import URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.records import Json
    from agentflow.world import World

TIMED_OUT = 124
"""As timeout(1) of GNU coreutils ends."""


def wait(
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="A task's id.", autocompletion=complete_task)
    ],
    timeout: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="At most this long, like 90s or 10m (default: no end)."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The run's report as JSON.")] = False,
) -> None:
    """Wait until a task's run has ended in any way, and exit with that run's code.

    A run that has ended already counts, unless another one is at work; without any run, one is
    waited for. A document with batches has ended when no process is at work on it: with its newest
    batch's run. With AGENTFLOW_DATABASE_URL, a run that was submitted is waited for on any machine.
    Exits with 143 if the run's process was killed before it left a result, and with 124, as
    timeout(1) does, if the time is over first.
    """
    with exit_codes("json" if json else "text"):
        import time

        from agentflow.cli.batches import batches_apply
        from agentflow.durations import parse_duration
        from agentflow.neutral import one_line
        from agentflow.shown_reports import shown
        from agentflow.wait import wait_for_end
        from agentflow.workspace.repository import open_repository
        from agentflow.world import World

        world = World()
        seconds = None if timeout is None else parse_duration(timeout, where="--timeout")

        def tell(run: str | None) -> None:
            say(f"waiting for {one_line(run or f'a run of {task}', 255)}")

        report = _submitted(world, task, seconds, tell) or wait_for_end(
            open_repository(world.directory, world.environment),
            world.cache,
            task,
            timeout=seconds,
            clock=world.clock,
            sleep=time.sleep,
            tell=tell,
            is_document=lambda: batches_apply(task, None, {}),
        )
        if report is None or report["outcome"] == "timeout":
            say(f"no run of {one_line(task)} has ended within {timeout}")
            report = {"type": "timeout", "task": task, "outcome": "timeout", "exit_code": TIMED_OUT}
        else:
            fields = shown(report)
            words = [one_line(fields[name], 255) for name in ("outcome", "run", "reason")]
            if not json:
                data().print("  ".join(word for word in words if word))
        if json:
            print_json(report)
    raise exit_of(report)


def _submitted(
    world: "World", task: str, seconds: float | None, tell: "Callable[[str | None], None]"
) -> "Json | None":
    """The report of a run that was submitted to a cluster, if one is configured and has the task."""
    if URL not in world.environment:
        return None
    import time

    from agentflow.cluster.elsewhere import wait_for_submitted

    return wait_for_submitted(world, task, timeout=seconds, sleep=time.sleep, tell=tell)
