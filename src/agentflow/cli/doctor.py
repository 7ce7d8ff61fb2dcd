"""`agentflow doctor`: whether a run could start here, and what mends it."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.output import exit_codes, print_json, print_table

if TYPE_CHECKING:
    from agentflow.doctor import Check
    from agentflow.sinks.tables import Row

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
            print_table("{:<8}{:<11} {}", list(map(_row_of, checks)))
    raise typer.Exit(0 if good else EnvironmentFailure.exit_code)


def _row_of(check: "Check") -> "Row":
    """What was found, and what mends it below."""
    from agentflow.neutral import one_line
    from agentflow.sinks.tables import Row

    remedy = one_line(check.remedy, 200)
    return Row(
        ((check.status, STYLES[check.status]), check.name, one_line(check.detail, 200)),
        [(f"{'':<20}{remedy}", "dim")] if remedy else [],
    )
