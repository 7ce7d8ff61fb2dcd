"""Running several tasks, for `agentflow run`."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from signal import SIGTERM
from typing import TYPE_CHECKING, Any

from agentflow.cli.output import (
    OutputFormat,
    commands_stopped,
    data,
    print_json,
    say,
    talk,
)
from agentflow.cli.telemetry import telemetry
from agentflow.frozen import record
from agentflow.signals import hear_signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from agentflow.backlog import Start
    from agentflow.commands import TasksCommand
    from agentflow.interfaces import Emit
    from agentflow.many import Wanted
    from agentflow.records import Json
    from agentflow.stopping import Stop
    from agentflow.world import World


@record
class Several:
    """What `agentflow run` was asked to do with more than one task."""

    names: Sequence[str]
    """Empty means all that are ready."""
    jobs: int
    keep_going: bool
    accept: bool
    fresh: bool
    base: str | None
    flags: Mapping[str, Any]


@record
class Manner:
    """What is printed, and how."""

    format: OutputFormat
    dry_run: bool
    quiet: bool
    verbose: bool


def execute_many(several: Several, manner: Manner) -> "Json":
    """Run the tasks and print their table, or what would be done on a dry run."""
    from agentflow.loading import without_collector

    with without_collector():
        from agentflow.backlog import find_start, named_tasks
        from agentflow.many import Wanted
        from agentflow.neutral import neutral
        from agentflow.ready_tasks import ready_tasks
        from agentflow.tasks.task import before_init
        from agentflow.waves import waves_json
        from agentflow.world import World

    world = World()
    start = find_start(several.base, several.flags, world)
    if several.names:
        backlog = named_tasks(several.names, start, world, fresh=several.fresh)
    else:
        backlog = ready_tasks(start, world, proposed=several.accept)
    plan = waves_json(backlog)  # cycles are named before anything starts
    if manner.dry_run:
        _print_plan(plan, several, start, manner.format)
        return {"exit_code": 0}
    if not backlog.items:
        say("no task is ready")
        if advice := before_init(start.repository.root):
            say(f"  {advice.rstrip()}")
    for notice in backlog.notices:
        say(neutral(notice))
    wanted = Wanted(
        start,
        backlog,
        _command(several),
        several.jobs,
        several.keep_going,
        several.fresh,
        several.accept,
    )
    return _run(wanted, world, manner)


def _command(several: Several) -> "TasksCommand":
    """The command that this was, to be given again."""
    from agentflow.cli.options import JOBS
    from agentflow.commands import TasksCommand

    given = {
        f"--jobs {several.jobs}": several.jobs != JOBS,
        "--keep-going": several.keep_going,
        "--accept-followups": several.accept,
    }
    more = tuple(option for option, is_given in given.items() if is_given)
    return TasksCommand(several.names, several.flags, several.base, more)


def _print_plan(
    plan: "Json", several: Several, start: "Start", output_format: OutputFormat
) -> None:
    from agentflow.waves import drawn

    if output_format != "text":
        print_json(plan)
        return
    where = {
        "none": "nothing lands",
        "current": "all land on the current branch",
        "branch": f"all land on {start.target}" if start.target else "each lands on its own branch",
    }
    printer = data()
    for line in drawn(plan, several.jobs, where[start.land]):
        printer.print(line)


def _run(wanted: "Wanted", world: "World", manner: Manner) -> "Json":
    from agentflow.cli.execution import connector, start_sdk_import
    from agentflow.command_values import command_values
    from agentflow.many import run_many
    from agentflow.sinks.tasks_table import print_tasks
    from agentflow.stopping import Stop

    start_sdk_import()
    stop = Stop()

    async def whole(sent: "Callable[[], list[Emit]]") -> "Json":
        sinks, connect = _Sinks(manner, world.now, sent), connector(world, shared=True)
        _listen(stop, sinks.say)
        try:
            return await run_many(wanted, world, connect, sinks, command_values, sinks.told, stop)
        finally:
            sinks.close()

    with commands_stopped(world.environment), telemetry(world.environment) as sent:
        report = asyncio.run(whole(sent))
        if manner.format == "text":
            print_tasks(data(), report)
        else:
            print_json(report)
    return report


class _Sinks:
    """Makes the sinks of each run. All are rows of one view on a terminal, and lines in a log."""

    def __init__(
        self, manner: Manner, now: "Callable[[], datetime]", sent: "Callable[[], list[Emit]]"
    ) -> None:
        """`sent` makes the sinks of a run for the user's collector."""
        from agentflow.sinks.live import LiveView

        self._format = manner.format
        self._quiet = manner.quiet
        self._printer = talk(quiet=manner.quiet)
        self._verbose = manner.verbose
        self._now = now
        self._sent = sent
        self._view = LiveView(self._printer, now)

    def __call__(self, task: str) -> "list[Emit]":
        """The sinks for a run of a task."""
        from agentflow.sinks.console import ConsoleSink
        from agentflow.sinks.stream_json import StreamJsonSink

        sinks: list[Emit] = [
            ConsoleSink(self._printer, verbose=self._verbose, view=self._view, now=self._now),
            *self._sent(),
        ]
        if self._format == "stream-json":
            sinks.append(StreamJsonSink(sys.stdout))
        return sinks

    def told(self, report: "Json") -> None:
        """Print what became of a task, whether it was run or not."""
        from agentflow.neutral import one_line
        from agentflow.sinks.console import stamped

        if self._format == "stream-json":
            print_json(report)
        task, reason = one_line(report["task"], 60), one_line(report.get("reason") or "", 200)
        line = f"{report['outcome']}{f': {reason}' if reason else ''}"
        if self._printer.live:
            self._printer.print((f"{task}  ", "bold"), (line, "bold"))
        else:
            self._printer.print(stamped(self._printer, self._now(), task, "task", line))

    def say(self, text: str) -> None:
        """One line on standard error, also when quiet: above the rows, which would overwrite it."""
        if self._quiet:
            say(text)
        else:
            self._printer.print(text)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._view.close()


def _listen(stop: "Stop", say: "Callable[[str], None]") -> None:
    """Ctrl-C once: soon; twice, or SIGTERM: now; a third signal ends the process."""

    def told(number: int) -> None:
        if stop() or number == SIGTERM:
            stop.now(number)
            return
        stop.soon(number)
        say(
            "stopping: no task is begun, and each agent stops after its turn; a second Ctrl-C stops now"
        )

    hear_signals(told)
