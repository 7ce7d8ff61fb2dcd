"""Serve a script by hand: `python -m agentflow.models.scripted SCRIPT [--port N]`.

The first line on stdout is the URL. Ends on SIGTERM and SIGINT with exit code 0.
"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.models.scripted.script import Script, load_script
from agentflow.models.scripted.server import ScriptedServer


async def serve(script: Script, port: int) -> None:
    """Serve until a signal says stop."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with ScriptedServer(script, port=port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> int:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m agentflow.models.scripted")
    parser.add_argument("script", type=Path, help="a script in YAML or JSON")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    given = parser.parse_args()
    try:
        script = load_script(given.script)
    except UsageError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return error.exit_code
    try:
        asyncio.run(serve(script, given.port))
    except OSError as error:
        sys.stderr.write(f"cannot listen on port {given.port}: {error.strerror}\n")
        return EnvironmentFailure.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
