"""`agentflow version`."""

from typing import Annotated

import typer

from agentflow import __version__
from agentflow.cli.output import print_json


def version(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Print the versions of agentflow, Python, git and bubblewrap."""
    import platform

    versions = {
        "agentflow": __version__,
        "python": platform.python_version(),
        "git": _first_line("git", "--version"),
        "bubblewrap": _first_line("bwrap", "--version"),
    }
    if json:
        print_json(versions)
        return
    for name, value in versions.items():
        typer.echo(f"{name:<11} {value or 'not installed'}")


def _first_line(*command: str) -> str | None:
    import subprocess

    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=True, shell=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return ended.stdout.split()[-1] if ended.stdout.split() else None
