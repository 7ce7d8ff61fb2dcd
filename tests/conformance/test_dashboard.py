"""The dashboard of a repository whose runs happen on workers: all of them on its pages, and its
buttons reach them."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from agentflow.errors import UsageError
from agentflow.pages.dashboard import Page
from agentflow.web.actions import LocalActions
from agentflow.web.local import LocalSource
from agentflow.web.shared import SharedActions, SharedSource
from agentflow.web.views import Views
from tests.cli.shell import Shell
from tests.conformance.machines import Machines, machines, until
from tests.conformance.postgresql import Server
from tests.run.project import bash, call, turn
from tests.ui.place import Place, serving
from tests.ui.test_guard import Caller

pytestmark = pytest.mark.sandbox
ASKS = call("Write", file_path=".orchestrator/complete/TASK-1.blocked", content="Which <words>?")
SAYS = call("Write", file_path="app/hello.txt", content="hello\n")


@pytest.fixture
def cluster(server: Server, tmp_path: Path, bwrap: str) -> Generator[Machines]:
    """Two tasks: one asks; one takes long. Nobody has them yet."""
    talks = {
        "# Task TASK-1:": [turn(ASKS), turn(SAYS), turn()],
        "# Task TASK-2:": [turn(bash("exec sleep 614.1", timeout=600_000))],
    }
    with machines(tmp_path, server, [turn()], talks) as all_:
        for name in ("TASK-1", "TASK-2"):
            all_.task(name)
        all_.push()
        yield all_


def test_submitted_runs_are_seen_answered_and_cancelled(cluster: Machines) -> None:
    environment = {**cluster.project.world.environment, "AGENTFLOW_DATABASE_URL": cluster.url}
    world = replace(cluster.project.world, environment=environment)
    source = SharedSource(LocalSource(world), world)
    actions, views = SharedActions(LocalActions(world), world), Views(source, "token")
    asks, takes = cluster.submit("TASK-1"), cluster.submit("TASK-2")
    run, other = asks[0], takes[0]

    def outcome(name: str) -> str:
        source.forget()
        return {row.run: row.outcome for row in source.board().rows}[name]

    assert (outcome(run), outcome(other)) == ("waiting", "waiting")
    assert {card.id: card.state for card in source.plan().cards} == {
        "TASK-1": "waiting", "TASK-2": "waiting"
    }  # fmt: skip
    cluster.start_worker()
    until(lambda: (outcome(run), outcome(other)) == ("blocked", "running"), cluster)
    overview = html(views.overview({}))
    assert "Which &lt;words&gt;?" in overview
    assert f'action="/runs/{run}/answer"' in overview
    [entry] = [each for each in cluster.entries() if each.run == other]
    assert f"on {entry.worker}" in overview
    assert "any path" not in overview

    assert asyncio.run(actions.answer(run, {"text": "Say\r\nhello."})) == run
    assert asyncio.run(actions.cancel(other, {})) == other
    until(lambda: (outcome(run), outcome(other)) == ("done", "interrupted"), cluster)
    page = html(views.run({"run": run}))
    assert "build:test" in page
    assert "the commits are on the remote: git fetch" in page
    assert "Resume</button>" in html(views.run({"run": other}))
    with pytest.raises(UsageError, match="asks nothing"):
        asyncio.run(actions.answer(run, {"text": "More."}))
    with pytest.raises(UsageError, match="has ended: done"):
        asyncio.run(actions.cancel(run, {}))
    assert asyncio.run(actions.resume(other, {})) == other
    until(lambda: outcome(other) == "running", cluster)
    assert asyncio.run(actions.cancel(other, {})) == other
    until(lambda: outcome(other) == "interrupted", cluster)


def html(page: Page) -> str:
    return "".join(str(region.html) for region in page.regions)


def test_the_buttons_of_a_server_reach_the_database_and_its_absence_hides_nothing(
    cluster: Machines,
) -> None:
    [run] = cluster.submit("TASK-1")
    shell = Shell(cluster.folder, cluster.project)
    shell.environment["AGENTFLOW_DATABASE_URL"] = cluster.url
    with serving(Place(shell, {})) as url, entered(url) as (caller, http):
        assert run in http.get("/runs").text
        form = {"form_token": caller.form_token(f"/runs/{run}")}
        sent = http.post(f"/runs/{run}/cancel", data=form, headers={"origin": caller.base})
        assert (sent.status_code, sent.headers["location"]) == (303, f"/runs/{run}")
        sent = http.post(f"/runs/{run}/retry", data=form, headers={"origin": caller.base})
        assert sent.status_code == 303, sent.text
    [old, new] = cluster.entries()
    assert [old.outcome, new.outcome] == ["interrupted", "waiting"]
    assert (old.run, f"/runs/{new.run}") == (run, sent.headers["location"])
    shell.environment["AGENTFLOW_DATABASE_URL"] = "postgresql://me:hunter22@127.0.0.1:1/x"
    with serving(Place(shell, {})) as url, entered(url) as (_, http):
        page = http.get("/")
        assert page.status_code == 200
        assert "Submitted runs are not up to date" in page.text
        assert "hunter22" not in page.text


@contextmanager
def entered(url: str) -> Generator[tuple[Caller, httpx2.Client]]:
    caller = Caller(url)
    with caller.http:
        caller.enter()
        yield caller, caller.http
