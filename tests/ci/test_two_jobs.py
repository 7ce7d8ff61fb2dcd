"""The pattern of two jobs, as documentation and template have it: run step by step in clean folders.

The remote takes a push only from who may push, and never one to its main branch; it notes what it was
asked for.
"""

import asyncio
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from agentflow.models.scripted import ScriptedServer, read_script
from tests.ci.code_host import TOKEN, code_host
from tests.ci.runner import ROOT, Runner
from tests.ci.test_action import when_it_works
from tests.cli.delivered import CONFIG
from tests.needs import need
from tests.run.project import HELLO, make_project, turn

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("bwrap")]

ASKED = """\
#!/bin/sh
while read -r old new ref; do
    echo "$ref ${MAY_PUSH:-may not}" >>asked
    [ "$ref" = refs/heads/main ] && exit 1
done
[ "${MAY_PUSH:-}" = yes ]
"""
KEY = "sk-ant-a-key-of-nobody"


@dataclass
class Host:
    """A code host: a bare repository, and what a job of it starts from."""

    folder: Path
    remote: Path
    environment: dict[str, str]

    def checkout(self, name: str) -> Path:
        """A fresh clone for a job."""
        place = self.folder / name / "workspace"
        subprocess.run(["git", "clone", "-q", self.remote, place], check=True)
        return place

    def heads(self) -> dict[str, str]:
        """The remote's branches."""
        lines = self._git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split() for line in lines)

    def asked(self) -> list[str]:
        """Which refs somebody wanted to move, and whether they might."""
        file = self.remote / "asked"
        return file.read_text().splitlines() if file.exists() else []

    def subject(self, ref: str) -> str:
        return self._git("log", "-1", "--format=%s", ref)

    def git(self, place: Path, *arguments: str) -> str:
        """Run git in a folder."""
        return subprocess.run(
            ["git", "-C", place, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    def _git(self, *arguments: str) -> str:
        return self.git(self.remote, *arguments)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    project = make_project(tmp_path / "origin")
    project.write(".orchestrator/config.toml", f'prompt = "plain"\n{CONFIG}')
    project.commit("chore: gates")
    remote = tmp_path / "group" / "project.git"
    subprocess.run(["git", "clone", "-q", "--bare", project.root, remote], check=True)
    hook = remote / "hooks/pre-receive"
    hook.write_text(ASKED)
    hook.chmod(0o755)
    environment = {**project.world.environment, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return Host(tmp_path, remote, environment)


def evaluated(text: str, contexts: Mapping[str, str]) -> str:
    """A value of a workflow, its expressions looked up."""
    return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", lambda found: contexts[found[1]], text)


async def with_model(act: Any, *arguments: Any, latency: float = 0.0) -> Any:
    """Call something that runs the task, while a scripted model is there; its last reply takes
    `latency` seconds."""
    script = read_script({"turns": [turn(HELLO), turn(text="Done.", latency=latency)]})
    async with ScriptedServer(script) as server:
        return await asyncio.to_thread(act, server.url, *arguments)


def agent_job(url: str, host: Host, steps: list[dict[str, Any]], artifact: Path) -> Runner:
    """The steps of the first job: checkout, then the action, whose report is uploaded."""
    assert [step["uses"].split("@")[0] for step in steps] == [
        "actions/checkout",
        "OWNER/agentflow",
    ]
    known = {"inputs.task": "TASK-1", "secrets.ANTHROPIC_API_KEY": KEY}
    inputs = {name: evaluated(str(value), known) for name, value in steps[1]["with"].items()}
    place = host.checkout("agent")
    runner = Runner(place, {**host.environment, "AGENTFLOW_BASE_URL": url}, place.parent, **inputs)
    for name in ("Install", "Run"):
        ended = runner.run(name)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    shutil.copytree(runner.outputs["report"], artifact)
    return runner


def test_the_workflow_of_the_documentation(host: Host, tmp_path: Path) -> None:
    text = (ROOT / "docs/ci.md").read_text()
    found = re.search(r"```yaml\n# \.github/workflows/two-jobs\.yml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    workflow: dict[str, Any] = yaml.safe_load(found[1])
    jobs: dict[str, Any] = workflow["jobs"]
    artifact, before = tmp_path / "artifact", host.heads()

    agent = asyncio.run(with_model(agent_job, host, jobs["agent"]["steps"], artifact))

    assert agent.outputs["outcome"] == "done"
    assert agent.outputs["branch"] == "agentflow/TASK-1"
    assert (host.heads(), host.asked()) == (before, [])
    checkout, source, download, *scripts = jobs["land"]["steps"]
    assert (workflow["permissions"], "permissions" in jobs["agent"]) == (
        {"contents": "read"},
        False,
    )
    assert jobs["land"]["permissions"] == {"contents": "write"}
    assert (checkout["with"], download["with"]["name"]) == ({"fetch-depth": 0}, "agentflow")
    place = host.checkout("land")
    runner = Runner(place, {**host.environment, "MAY_PUSH": "yes"}, place.parent)
    (place / source["with"]["path"]).symlink_to(ROOT)
    temporary = runner.environment["RUNNER_TEMP"]
    shutil.copytree(artifact, evaluated(download["with"]["path"], {"runner.temp": temporary}))
    assert KEY not in str(runner.environment.values())
    for script in scripts:
        ended = runner.script(script["run"], {})
        assert ended.returncode == 0, ended.stdout + ended.stderr
    branch = "refs/heads/agentflow/TASK-1"
    assert host.heads() == {**before, branch: agent.outputs["commit"]}
    assert host.asked() == [f"{branch} yes"]
    assert host.subject(branch) == "TASK-1: Say hello"
    assert "✅" in runner.files["GITHUB_STEP_SUMMARY"].read_text()


def test_a_bundle_that_was_changed_on_the_way_is_not_pushed(host: Host, tmp_path: Path) -> None:
    """The steps of the second job, as the documentation has them, on what an agent job might upload."""
    jobs: dict[str, Any] = yaml.safe_load(
        re.findall(
            r"```yaml\n# \S+two-jobs\.yml\n(.*?)```", (ROOT / "docs/ci.md").read_text(), re.DOTALL
        )[0]
    )["jobs"]
    place, before = host.checkout("land"), host.heads()
    runner = Runner(place, {**host.environment, "MAY_PUSH": "yes"}, place.parent)
    folder = Path(runner.environment["RUNNER_TEMP"]) / "agentflow"
    folder.mkdir()
    (folder / "run.tar").write_bytes(b"no tar" * 999)
    ended = runner.script(jobs["land"]["steps"][-1]["run"], {})
    assert ended.returncode == 2
    assert (host.heads(), host.asked()) == (before, [])


def test_the_action_pushes_to_no_protected_branch(host: Host) -> None:
    place = host.checkout("agent")

    def act(url: str) -> tuple[Runner, Any]:
        environment = {**host.environment, "AGENTFLOW_BASE_URL": url, "MAY_PUSH": "yes"}
        inputs = {"task": "TASK-1", "pull-request": "true", "arguments": "--land\ncurrent"}
        runner = Runner(place, environment, place.parent, **inputs)
        assert [runner.run(name).returncode for name in ("Install", "Run")] == [0, 0]
        return runner, runner.run("Propose")

    before = host.heads()
    runner, proposed = asyncio.run(with_model(act))

    assert runner.outputs["branch"] == "main"
    assert proposed.returncode == 7, proposed.stdout + proposed.stderr
    assert "main is a protected or default branch of origin" in proposed.stderr
    assert (host.heads(), host.asked()) == (before, [])


def test_a_private_repository_is_reached_by_the_token_alone(host: Host) -> None:
    """A shallow checkout without credentials: the history is fetched, and the branch pushed, with the
    App's token. It is written nowhere, and no other login is tried."""
    with code_host(host.folder) as server:
        place = host.folder / "agent/workspace"
        subprocess.run(
            ["git", "clone", "-q", "--depth=1", f"file://{host.remote}", place], check=True
        )
        host.git(place, "remote", "set-url", "origin", f"{server.url}/group/project.git")
        inputs = {"task": "TASK-1", "pull-request": "true", "token": TOKEN}

        def act(url: str) -> list[Any]:
            runner = Runner(
                place, {**host.environment, "AGENTFLOW_BASE_URL": url}, place.parent, **inputs
            )
            stranger = Runner(
                place, host.environment, host.folder / "stranger", **{**inputs, "token": "wrong"}
            )
            refused = stranger.run("Install")
            return [refused, *(runner.run(name) for name in ("Install", "Run", "Propose"))]

        (host.folder / "stranger").mkdir()
        refused, *ended = asyncio.run(with_model(act))

    assert (refused.returncode, "`fetch-depth: 0`" in refused.stdout) == (5, True), refused.stderr
    assert [each.returncode for each in ended] == [0, 0, 0], [each.stderr for each in ended]
    assert host.git(place, "rev-parse", "--is-shallow-repository") == "false"
    tip = host.git(place, "rev-parse", "agentflow/TASK-1")
    assert host.heads()["refs/heads/agentflow/TASK-1"] == tip
    ours, theirs = f"x-access-token:{TOKEN}", "x-access-token:wrong"
    assert {login for _, login in server.asked} == {ours, theirs}
    assert {service for service, login in server.asked if login == theirs} == {"git-upload-pack"}
    assert ("git-receive-pack", ours) in server.asked
    kept = [path for path in (host.folder / "agent").rglob("*") if path.is_file()]
    assert len(kept) > 20
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]


class Template:
    """GitLab's runner, as far as the template needs one."""

    def __init__(self) -> None:
        self.jobs: dict[str, Any] = yaml.safe_load((ROOT / "deploy/gitlab.yml").read_text())

    def run(
        self,
        name: str,
        place: Path,
        environment: Mapping[str, str],
        meanwhile: Callable[["subprocess.Popen[str]"], None] = lambda _: None,
    ) -> Any:
        """Run a job's scripts in a checkout."""
        whole = {**self.jobs.get(self.jobs[name].get("extends"), {}), **self.jobs[name]}
        whole.setdefault("variables", {})
        known = {**environment, "CI_PROJECT_DIR": str(place), "CI": "true", "GITLAB_CI": "true"}
        for key, value in whole["variables"].items():
            if key == "AGENTFLOW_SOURCE":  # a variable of the project goes before the template's
                continue
            known[key] = re.sub(r"\$(\w+)", lambda found: known[found[1]], value)
        lines = "\n".join((*whole.get("before_script", ()), *whole["script"]))
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", lines]
        with subprocess.Popen(
            command, cwd=place, env=known, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding="utf-8",
        ) as job:  # fmt: skip
            meanwhile(job)
            stdout, stderr = job.communicate(timeout=120)
        return subprocess.CompletedProcess(command, job.returncode, stdout, stderr)


def test_the_template_for_gitlab(host: Host) -> None:
    need("rg")
    template, before = Template(), host.heads()
    agent, land = host.checkout("agent"), host.checkout("land")
    programs = Runner(agent, host.environment, agent.parent).environment["PATH"]
    common = {
        **host.environment,
        "AGENTFLOW_SOURCE": str(ROOT),
        "PATH": programs,
        "TASK": "TASK-1",
        "CI_REPOSITORY_URL": str(host.remote),
        "CI_SERVER_URL": f"file://{host.folder}",
        "CI_PROJECT_PATH": "group/project",
    }

    def act(url: str) -> Any:
        return template.run(".agentflow:run", agent, {**common, "AGENTFLOW_BASE_URL": url})

    ran = asyncio.run(with_model(act))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (host.heads(), host.asked()) == (before, [])
    jobs = template.jobs
    groups = {jobs[name]["resource_group"] for name in (".agentflow:run", ".agentflow:land")}
    assert groups == {"agentflow-$TASK"}, "one at a time for each task"
    assert jobs[".agentflow:install"]["variables"]["GIT_DEPTH"] == "0", "the whole history"
    kept = jobs[".agentflow:run"]["artifacts"]["paths"]
    assert kept[0] == "agentflow-report"
    assert sorted(file.name for file in (agent / kept[0]).iterdir()) == [
        "agentflow.sarif", "journal.jsonl", "junit.xml", "outputs.env", "prompt.md", "report.html",
        "report.json", "result.json", "run.tar",
    ]  # fmt: skip
    told = (agent / kept[0] / "outputs.env").read_text()
    shutil.copytree(agent / kept[0], land / kept[0])
    (land / kept[0] / "outputs.env").write_text(f"PATH=/evil\n{told}AGENTFLOW_RUN=$(id)\n")
    told_others = template.run(".agentflow:outputs", land, common)
    assert told_others.returncode == 0, told_others.stderr
    assert (land / "agentflow.env").read_text() == told
    variables = dict(line.split("=", 1) for line in told.splitlines())
    assert variables.pop("AGENTFLOW_RUN").startswith("TASK-1-")
    assert float(variables.pop("AGENTFLOW_COST")) > 0
    assert variables == {
        "AGENTFLOW_OUTCOME": "done",
        "AGENTFLOW_BRANCH": "agentflow/TASK-1",
        "AGENTFLOW_COMMIT": host.git(agent, "rev-parse", "agentflow/TASK-1"),
        "AGENTFLOW_REPORT": "agentflow-report",
    }
    landed = template.run(".agentflow:land", land, {**common, "MAY_PUSH": "yes"})

    assert landed.returncode == 0, landed.stdout + landed.stderr
    branch = "refs/heads/agentflow/TASK-1"
    assert host.asked() == [f"{branch} yes"]
    assert host.heads().keys() == {*before, branch}
    assert (land / "agentflow-report/landed.xml").is_file()


def test_the_template_for_gitlab_leaves_what_a_run_can_go_on_from(host: Host) -> None:
    need("rg")
    agent = host.checkout("agent")
    common = {
        **host.environment, "AGENTFLOW_SOURCE": str(ROOT), "TASK": "TASK-1",
        "AGENTFLOW_MAX_TURNS": "1",
        "PATH": Runner(agent, host.environment, agent.parent).environment["PATH"],
    }  # fmt: skip

    def act(url: str) -> Any:
        return Template().run(".agentflow:run", agent, {**common, "AGENTFLOW_BASE_URL": url})

    ran = asyncio.run(with_model(act))

    assert ran.returncode == 4, ran.stdout + ran.stderr
    kept = sorted(file.name for file in (agent / "agentflow-report").iterdir())
    assert "run.tar.gz" in kept
    assert "run.tar" not in kept
    assert (agent / "agentflow-report/report.html").is_file()


def test_a_cancelled_job_of_gitlab_has_its_code_and_what_the_run_can_go_on_from(host: Host) -> None:
    need("rg")
    agent = host.checkout("agent")
    common = {
        **host.environment, "AGENTFLOW_SOURCE": str(ROOT), "TASK": "TASK-1",
        "PATH": Runner(agent, host.environment, agent.parent).environment["PATH"],
    }  # fmt: skip

    def cancel(job: "subprocess.Popen[str]") -> None:
        when_it_works(agent / ".orchestrator/runs")
        job.send_signal(signal.SIGTERM)  # to the shell alone

    def act(url: str) -> Any:
        environment = {**common, "AGENTFLOW_BASE_URL": url}
        return Template().run(".agentflow:run", agent, environment, cancel)

    ended = asyncio.run(with_model(act, latency=61))

    assert ended.returncode == 143, ended.stdout + ended.stderr
    kept = agent / "agentflow-report"
    assert "AGENTFLOW_OUTCOME=interrupted" in (kept / "outputs.env").read_text()
    assert json.loads((kept / "report.json").read_bytes())["exit_code"] == 143
    assert {"run.tar.gz", "report.html"} <= {file.name for file in kept.iterdir()}
