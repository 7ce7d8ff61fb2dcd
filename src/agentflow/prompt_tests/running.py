"""Running one case: a repository made for it, and everything but the model's words as in a run."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentflow.errors import AgentflowError, UsageError
from agentflow.frozen import record
from agentflow.markers import read_marker
from agentflow.models.anthropic import open_model
from agentflow.models.scripted.script import Script
from agentflow.models.scripted.server import ScriptedServer
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.prompt_tests.case import Case
from agentflow.records import Json
from agentflow.run import OpenModel, run_task
from agentflow.settings import CONFIG
from agentflow.tasks.task import FOLDER
from agentflow.workspace.git import GitError, isolated
from agentflow.workspace.repository import open_repository
from agentflow.world import World

CASE_SECONDS = 300.0
"""The longest that one case may take, whatever its gates and its conversation wait for."""
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")
"""Variables of the user that a case sees: none that configures agentflow, git or a model."""


@record
class Observed:
    """How a case ended."""

    outcome: str
    exit_code: int | None
    reason: str
    report: Json
    """The run's; empty for what was refused before there was a run."""
    requests: tuple[Json, ...]
    """Bodies of the requests that the model got, in order."""
    marker: str | None
    read: Callable[[str], str | None]
    """The text of a file of the result, None if it is not there."""


async def run_case(case: Case, prompt: Path, folder: Path, user: Mapping[str, str]) -> Observed:
    """Run a case in an empty folder, which keeps all that the run leaves.

    `user` is the user's environment, of which little is passed on. Raises `UsageError` for files
    that cannot be made, and `TimeoutError`.
    """
    environment = {name: user[name] for name in PASSED_ON if name in user} | {
        "HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    root = make_repository(case, folder)
    world = World(root, environment, folder / "cache")
    limit = asyncio.timeout(CASE_SECONDS)
    async with ScriptedServer(Script(case.turns)) as server:
        flags: dict[str, Any] = {
            **case.flags.settings,
            "base_url": server.url,
            "prompt": str(prompt),
        }
        order = Order(case.id, flags=flags, arguments=case.flags.arguments)
        try:
            async with limit:
                report = await run_task(await make_plan(order, world), world, _connect)
        except AgentflowError as error:
            report = {}
            ended = (error.outcome, error.exit_code, error.message)
        else:
            ended = (report["outcome"], report["exit_code"], report["reason"])
    if limit.expired():
        raise TimeoutError
    return Observed(
        *ended,
        report=report,
        requests=tuple(each.body for each in server.requests if each.path.endswith("/messages")),
        marker=read_marker(root, case.id),
        read=_reader(root, environment, report),
    )


def make_repository(case: Case, folder: Path) -> Path:
    """Make a case's repository, with one commit. Raises `UsageError` for impossible files."""
    root = folder / "repository"
    for each in (root, folder / "home", folder / "config"):
        each.mkdir(parents=True)
    files = {
        "README.md": "# Example\n",
        **case.files,
        CONFIG: case.config,
        f"{FOLDER}/{case.id}.md": case.task,
    }
    git = isolated(root)
    git.run("init", "--quiet", "--template=", "--initial-branch=main")
    for name, text in files.items():
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        except OSError as error:
            raise UsageError(f"{case.name}: cannot write {name}: {error.strerror}") from error
    for key, value in (("user.name", "Case"), ("user.email", "case@example.com")):
        git.run("config", key, value)
    try:
        git.run("add", "--all", "--force")
    except GitError as error:
        raise UsageError(f"{case.name}: {error.message}") from error
    git.run("commit", "--quiet", "--message", "feat: the base")
    return root


def _connect(plan: Plan) -> OpenModel:
    """The scripted model, without the pauses before a retry."""
    return lambda: open_model(
        base_url=plan.base_url, api_key=None, kind=plan.server, sleep=lambda _: asyncio.sleep(0)
    )


def _reader(
    root: Path, environment: Mapping[str, str], report: Json
) -> Callable[[str], str | None]:
    """Reads what landed; without a landing, the base."""
    repository = open_repository(root, environment)
    landed: Json = report.get("landed") or {}
    commit = str(landed.get("tip") or repository.resolve("main"))
    return lambda path: repository.read(commit, path)
