"""`agentflow demo`: the main job on an example repository, without a key."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.output import (
    OutputFormat,
    data,
    exit_codes,
    exit_of,
    print_json,
    say,
    talk,
)
from agentflow.words import word

if TYPE_CHECKING:
    from agentflow.records import Json


def demo(
    directory: Annotated[
        Path | None,
        typer.Option(help="A new or empty folder for the example (default: a new one)."),
    ] = None,
    output_format: Annotated[
        OutputFormat, typer.Option(help="What standard output gets.")
    ] = "text",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No talk.")] = False,
) -> None:
    """Run a task on an example repository: a scripted model, everything else real. No key needed.

    Clone, sandbox, tools, tests as a gate, import, landing, marker and report are what they are
    with a real model; only the model's words come from a file.
    """
    with exit_codes(output_format):
        from agentflow.cli.execution import start_sdk_import

        folder = _empty_folder(directory)
        start_sdk_import()
        from agentflow.sinks.verdict import print_verdict

        report = _run(folder, output_format, quiet=quiet)
        if output_format == "text":
            print_verdict(data(), report)
            if report["outcome"] == "done" and not quiet:
                say(_next_steps(folder / "notes"))
        else:
            print_json(report)
    raise exit_of(report)


def _empty_folder(wanted: Path | None) -> Path:
    """Make the example's folder, which holds nothing else: the last hint removes it whole.

    Raises `UsageError` for one that holds anything, or cannot be made.
    """
    import tempfile

    from agentflow.errors import UsageError

    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="agentflow-demo-")).resolve()
    hint = "Give a new or an empty one as --directory, or leave that out: a new one is made."
    try:
        folder = wanted.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        holds = any(folder.iterdir())
    except (OSError, RuntimeError) as error:  # a loop of links, in Python 3.11 and 3.12
        told = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"no example can be made in {wanted}: {told}", hint) from error
    if holds:
        raise UsageError(f"the folder {folder} is not empty", hint)
    return folder


def _run(folder: Path, output_format: OutputFormat, *, quiet: bool) -> "Json":
    import sys

    from agentflow.cli.execution import connector, interruptible
    from agentflow.demo import TASK, demo_environment, demo_script, make_repository
    from agentflow.interfaces import Emit
    from agentflow.models.scripted import ScriptedServer
    from agentflow.order import Order
    from agentflow.plan import make_plan
    from agentflow.run import run_task
    from agentflow.sinks.console import ConsoleSink
    from agentflow.sinks.stream_json import StreamJsonSink
    from agentflow.world import World

    root = make_repository(folder)
    talk(quiet=quiet).print(f"example repository: {root}\n")
    console = ConsoleSink(talk(quiet=quiet))
    sinks: list[Emit] = [console]
    if output_format == "stream-json":
        sinks.append(StreamJsonSink(sys.stdout))
    world = World(root, demo_environment(), folder / "cache")

    async def whole() -> "Json":
        async with ScriptedServer(demo_script()) as server:
            order = Order(TASK, flags={"base_url": server.url, "model": "sonnet"})
            plan = await make_plan(order, world)
            return await run_task(plan, world, connector(world), sinks)

    try:
        return interruptible(whole())
    finally:
        console.close()


def _next_steps(root: Path) -> str:
    import sys

    # The example's gate needs pytest, which the Python that runs agentflow has.
    run = f"cd {word(root)} && PATH={word(Path(sys.executable).parent)}:$PATH agentflow run TASK-001 --fresh"
    return f"""
The model was scripted and nothing was paid; clone, sandbox, tools, tests and landing were real.

Look at it:
  git -C {word(root)} show --stat agentflow/TASK-001
Run it with a real model (export ANTHROPIC_API_KEY=… first):
  {run}
Or with any other server of the Messages API:
  {run} --base-url http://127.0.0.1:8080 --model NAME
When you are done with it:
  rm -rf {word(root.parent)}
"""
