"""The commands as processes: a worker that takes runs, and what stands of them from another clone."""

import json
import re
import signal
import subprocess
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agentflow.cluster.database import VERSION, lock_key, open_session
from agentflow.errors import UsageError
from agentflow.workspace.mirror import repository_key
from tests.cli.shell import Shell
from tests.conformance.machines import Machines, machines, processes, until
from tests.conformance.postgresql import Server
from tests.forks.programs import agentflow
from tests.many.fleet import writes
from tests.run.project import bash, turn

pytestmark = pytest.mark.sandbox
DATABASE = "AGENTFLOW_DATABASE_URL"
GATE = ("--prompt", "plain", "--gate", f"test=! env | grep {DATABASE}")


@dataclass
class Cluster:
    """Machines, and the command line in a clone of their repository."""

    machines: Machines
    shell: Shell

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that knows the database."""
        return self.shell.run(*arguments, **{DATABASE: self.machines.url})

    def ok(self, *arguments: str) -> str:
        """What a command that must succeed printed."""
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def state(self, task: str) -> str:
        """Where a task's newest run stands."""
        with self.machines.board() as board:
            return board.get(task).outcome

    def elsewhere(self) -> "Cluster":
        """The command line in another clone, which knows the same remote by another address."""
        root = self.machines.folder / "second"
        origin = f"file://{self.machines.origin}"
        subprocess.run(["git", "clone", "--quiet", "--branch=main", origin, str(root)], check=True)
        project = self.machines.project
        world = replace(project.world, directory=root)
        shell = Shell(self.machines.folder, replace(project, root=root, world=world))
        return Cluster(self.machines, shell)


@contextmanager
def worker(all_: Machines, log: Path) -> Generator[subprocess.Popen[bytes]]:
    """`agentflow worker`, one run at once; what it says is in `log`."""
    home = log.parent / "home-of-worker"
    home.mkdir()
    with log.open("wb") as file:
        process = subprocess.Popen(
            agentflow("worker", "--concurrency", "1"),
            cwd=home,
            env=all_.environment(home),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(120)


def test_a_worker_takes_runs_in_order_and_tells_nobody_the_database(
    server: Server, tmp_path: Path, bwrap: str
) -> None:
    talks = {
        "# Task SOON:": [turn(bash("env > app/env.txt")), turn()],
        "# Task LATE:": writes("app/late.txt"),
        "# Task ENDS:": [turn(bash("exec sleep 613.4"))],
    }
    with machines(tmp_path, server, [turn()], talks) as all_:
        for name in ("SOON", "LATE", "ENDS"):
            all_.task(name)
        all_.push()
        told = [tmp_path / name for name in ("hook", "pushed-to-origin", "pushed-to-state")]
        _tell_environment(all_, *told)
        here = Cluster(all_, Shell(tmp_path, all_.project))
        late = here.ok("submit", "LATE", *GATE).strip()
        soon = here.ok("submit", "SOON", "--priority", "10", *GATE).strip()
        here.ok("submit", "ENDS", "--priority", "1000", "--timeout", "1s", *GATE)
        assert _versions(all_.url) == {VERSION}

        log = tmp_path / "worker.log"
        with worker(all_, log) as process:
            until(lambda: here.state("ENDS") == "interrupted", all_)
            until(lambda: not processes("sleep", "613.4"), all_)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0, log.read_text()
        said = log.read_text()
        begun = [name for name in re.findall(r"(\S+) begins", said) if name in {soon, late}]
        assert begun == [soon, late], said
        assert "Traceback" not in said

        for file in told:
            assert "HOME=" in file.read_text()
        seen = [*(file.read_text() for file in told), _shown(all_, "agentflow/SOON:app/env.txt")]
        assert not [text for text in seen if DATABASE in text or "postgresql://" in text]
        with all_.board() as board:
            assert board.get("ENDS").report["reason"] == "not done within 1.0 s"
        _check_elsewhere(here.elsewhere(), soon, late)


def _tell_environment(all_: Machines, hook: Path, origin: Path, state: Path) -> None:
    """Let a hook of the worker, and what its git starts, write their environment down."""
    config = all_.folder / "config/agentflow/config.toml"
    started = f'\n[[hooks]]\non = ["run.started"]\ncommand = "env >>{hook}"\n'
    config.write_text(config.read_text() + started)
    for remote, file in ((all_.origin, origin), (all_.state, state)):
        (remote / "hooks/pre-receive").write_text(f"#!/bin/sh\ncat >/dev/null\nenv >>{file}\n")


def _versions(url: str) -> set[str]:
    with open_session(url, "a test") as session:
        found = session.execute("select application_version from dbos.workflow_status")
        return {str(version) for (version,) in found}


def _shown(all_: Machines, what: str) -> str:
    return all_.at(all_.origin, "show", what)


def _check_elsewhere(second: Cluster, soon: str, late: str) -> None:
    """From another clone: how runs ended, and which are the same."""
    waited = second.run("wait", "SOON")
    assert (waited.returncode, waited.stdout.split()) == (0, ["done", soon])
    lines = second.ok("runs", "list", "--json").splitlines()
    listed = {each["run"]: each["outcome"] for each in map(json.loads, lines)}
    assert (listed[soon], listed[late], len(listed)) == ("done", "done", 3)
    shown = second.ok("runs", "show", "LATE")
    assert "build:test" in shown
    assert "agentflow/LATE" in shown
    assert second.ok("submit", "SOON", "LATE", *GATE).split() == [soon, late]
    all_ = second.machines
    all_.task("SOON", text="It is another text.")
    with pytest.raises(UsageError, match="its text changed since"):
        all_.submit("SOON")
    [anew] = all_.submit("SOON", fresh=True)
    assert anew != soon
    with pytest.raises(UsageError, match=f"{anew} is waiting"):
        all_.submit("SOON", fresh=True)
    assert second.state("SOON") == "waiting"


def test_two_submits_at_once_are_one_run(server: Server, tmp_path: Path) -> None:
    with machines(tmp_path, server, [turn()], {}) as all_:
        all_.task("ONE")
        all_.push()
        key = lock_key(f"{repository_key(str(all_.origin))} ONE")
        with ThreadPoolExecutor(2) as pool:
            with open_session(all_.url, "a test") as session:
                session.execute("select pg_advisory_lock(%s)", (key,))
                made = [pool.submit(all_.submit, "ONE") for _ in range(2)]
                until(lambda: _waiting(all_.url) == len(made), all_)
            runs = [each.result(240) for each in made]
        assert runs[0] == runs[1]
        assert [entry.run for entry in all_.entries()] == runs[0]


def _waiting(url: str) -> int:
    """How many wait for an advisory lock."""
    with open_session(url, "a test") as session:
        [(count,)] = session.execute(
            "select count(*) from pg_locks where locktype = 'advisory' and not granted"
            " and database = (select oid from pg_database where datname = current_database())"
        )
        return int(count)


def test_a_drained_cluster_begins_nothing_until_it_is_undone(
    server: Server, tmp_path: Path, bwrap: str
) -> None:
    talks = {
        "# Task HELD:": [turn(bash("exec sleep 613.5"))],
        "# Task NEXT:": writes("app/next.txt"),
    }
    with machines(tmp_path, server, [turn()], talks) as all_:
        for name in ("HELD", "NEXT"):
            all_.task(name)
        all_.push()
        here = Cluster(all_, Shell(tmp_path, all_.project))
        all_.at_once = 1
        [held] = all_.submit("HELD")
        all_.start_worker()
        until(lambda: bool(processes("sleep", "613.5")), all_)
        all_.submit("NEXT")
        rows = here.ok("cluster", "status").splitlines()
        assert [(row.split()[0].split("-")[0], row.split()[1]) for row in rows] == [
            ("HELD", "running"),
            ("NEXT", "waiting"),
        ]
        assert " on " in rows[0]

        with here.shell.start("cluster", "drain", **{DATABASE: all_.url}) as drain:
            assert drain.stderr is not None
            assert drain.stderr.readline() == f"at work: {held}\n"
            here.ok("cluster", "cancel", "HELD")
            drain.communicate(timeout=240)
        assert (drain.returncode, here.state("NEXT")) == (0, "waiting")
        assert "the cluster is drained" in here.run("cluster", "status").stderr

        here.ok("cluster", "retry", "HELD")
        assert here.state("HELD") == "waiting"
        here.ok("cluster", "drain", "--undo", "--concurrency", "2")
        until(lambda: here.state("NEXT") == "done", all_)
        until(lambda: bool(processes("sleep", "613.5")), all_)
        with all_.board() as board:
            board.cancel(board.get(held), "the test is over")
        until(lambda: not processes("sleep", "613.5"), all_)


def test_doctor_looks_at_all_that_a_worker_needs(
    server: Server, tmp_path: Path, bwrap: str
) -> None:
    with machines(tmp_path, server, [turn()], {}) as all_:
        here = Cluster(all_, Shell(tmp_path, all_.project))
        without = here.run("cluster", "doctor")
        assert without.returncode == 5
        assert "weak  " in without.stdout
        state = {"AGENTFLOW_STATE_REMOTE": str(all_.state), DATABASE: all_.url}
        good = here.shell.run("cluster", "doctor", **state)
        assert (good.returncode, good.stdout.split()[0]) == (0, "good"), good.stdout
