"""`agentflow doctor`: whether a run could start here, and what mends it."""

import dataclasses
from typing import Annotated

import typer

from agentflow.cli.output import data, exit_codes, print_json

STYLES = {"ok": "green", "warning": "yellow", "missing": "bold red", "wrong": "bold red"}


def doctor(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Check git, the sandbox and each of its promises, configuration, programs, key, server and disk: 0 if a run could start,
    else 5. Nothing is sent anywhere.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.doctor import examine, is_good
        from agentflow.errors import EnvironmentFailure
        from agentflow.world import World

        checks = examine(World())
        good = is_good(checks)
        if json:
            print_json({"checks": [dataclasses.asdict(check) for check in checks], "ok": good})
        else:
            for check in checks:
                _print(check.name, check.status, check.detail, check.remedy)
    raise typer.Exit(0 if good else EnvironmentFailure.exit_code)


def _print(name: str, status: str, detail: str, remedy: str) -> None:
    from agentflow.neutral import one_line

    data().print((f"{status:<8}", STYLES[status]), f"{name:<11} {one_line(detail, 200)}")
    if remedy:
        data().print((f"{'':<20}{one_line(remedy, 200)}", "dim"))
