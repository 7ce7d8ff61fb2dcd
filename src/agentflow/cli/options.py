"""Options that several commands have, with the words that say the same in each."""

from typing import Annotated

import typer

from agentflow.cli.output import OutputFormat
from agentflow.records import Backend, Landing, SetupNetwork

Model = Annotated[
    str | None, typer.Option(metavar="MODEL", help="sonnet, opus, haiku, … or a full id.")
]
FallbackModel = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Goes on when the model is overloaded or fails for good."),
]
BaseUrl = Annotated[
    str | None, typer.Option(metavar="URL", help="Another server of the Messages API.")
]
MaxTurns = Annotated[
    int | None, typer.Option(metavar="N", help="Replies of the model (default: 100).", min=1)
]
MaxCost = Annotated[
    float | None, typer.Option(metavar="USD", help="US dollars (default: no limit).", min=0.0)
]
MaxTokens = Annotated[
    int | None,
    typer.Option(metavar="N", help="Tokens in and out together (default: no limit).", min=1),
]
MaxInputTokens = Annotated[
    int | None,
    typer.Option(metavar="N", help="Tokens in, cached ones too (default: no limit).", min=1),
]
MaxOutputTokens = Annotated[
    int | None, typer.Option(metavar="N", help="Tokens out (default: no limit).", min=1)
]
Timeout = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="The agent's time, like 90s or 1h30m (default: 45m)."),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="May be changed; replaces the task's. Repeatable."),
]
Deny = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="May not be changed. Repeatable.")
]
Gates = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=COMMAND", help="Must pass on the result. Repeatable."),
]
NewGates = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COMMAND", help="The same, and must fail before the change. Repeatable."
    ),
]
HostNetwork = Annotated[
    SetupNetwork | None,
    typer.Option(help="`host` lets setup reach all that this machine reaches."),
]
AllowRedBase = Annotated[
    bool, typer.Option("--allow-red-base", help="Gates may fail as they fail on the base.")
]
AllowForeignHead = Annotated[
    bool, typer.Option("--allow-foreign-head", help="Work in pull_request_target for a fork.")
]
PROFILE_HELP = (
    "What the prompt expects: default, json, marker, batch, report, handoff, or as another prompt."
)
Profile = Annotated[str | None, typer.Option(metavar="NAME", help=PROFILE_HELP)]
Base = Annotated[
    str | None,
    typer.Option(metavar="REV", help="The commit to start from (default: HEAD)."),
]
Land = Annotated[Landing | None, typer.Option(help="Where verified commits go (default: branch).")]
Target = Annotated[
    str | None,
    typer.Option(metavar="BRANCH", help="To land on (default: agentflow/<TASK>)."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Run again, whatever earlier runs left.")]
JOBS = 4
"""Agents at once, where nobody says how many."""
Sandbox = Annotated[
    Backend | None,
    typer.Option(
        help="auto: bubblewrap, else Landlock with fewer promises. none: all your rights."
    ),
]
Output = Annotated[OutputFormat, typer.Option(help="What standard output gets.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No talk.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="The model's words in full.")]
