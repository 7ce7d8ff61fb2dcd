"""The workbench: an agent in its clone, hostile or not, and what comes out of it."""

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from agentflow.environment import Environment, Service, Setup, Variables
from agentflow.errors import EnvironmentFailure
from agentflow.events import Event, Notice
from agentflow.gates.command import Change, Commands
from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.records import BuildCommand, Json
from agentflow.redaction import redactor
from agentflow.results import Candidate
from agentflow.sandbox.policy import Provided
from agentflow.workbench import Workbench
from tests.run.project import GATE, Project
from tests.workspace.place import AUTHORSHIP

pytestmark = pytest.mark.sandbox

NONE = "none"
AUTO = "auto"


async def make_bench(
    project: Project, environment: Environment | None = None, **flags: Any
) -> Workbench:
    given = {"gates": [GATE], "prompt": "plain", "base_url": "http://127.0.0.1:1", **flags}
    plan = await make_plan(Order("TASK-1", flags=given), project.world)
    bench = Workbench(plan, project.world, project.world.cache / "run", environment)
    await bench.prepare()
    return bench


async def agent(bench: Workbench, command: str) -> Json:
    async with bench.agent_sandbox() as sandbox:
        return await sandbox.call("Bash", {"command": command, "timeout": 60})


async def collected(bench: Workbench, command: str) -> Candidate:
    result = await agent(bench, command)
    assert result["exit_code"] == 0, result["output"]
    return await bench.collect(AUTHORSHIP)


def paths(candidate: Candidate) -> list[str]:
    assert candidate.violations == ()
    return [change.path for commit in candidate.commits for change in commit.changes]


@pytest.mark.parametrize("sandbox", [AUTO, NONE])
async def test_work_is_collected_again_and_again(project: Project, sandbox: str) -> None:
    bench = await make_bench(project, sandbox=sandbox)

    first = await collected(
        bench, "echo x > app/x; git add -A; git commit -qm mine; echo y > app/y"
    )
    assert [(c.subject, c.changes[0].path) for c in first.commits] == [
        ("mine", "app/x"),
        ("TASK-1: Say hello", "app/y"),
    ]

    second = await collected(bench, "rm app/y; touch .orchestrator/complete/TASK-1.done")
    assert (paths(second), second.tip) == (["app/x"], first.commits[0].sha)
    assert not list(bench.folder.glob("exports/*"))


@pytest.mark.parametrize("sandbox", [AUTO, NONE])
async def test_a_folder_with_any_name_can_hold_the_work(
    project: Project, tmp_path: Path, sandbox: str
) -> None:
    cache = tmp_path / 'it\'s a $(touch canary) "cache"'
    project.world = type(project.world)(project.world.directory, project.world.environment, cache)
    bench = await make_bench(project, sandbox=sandbox)

    assert paths(await collected(bench, "echo x > app/x")) == ["app/x"]


async def test_a_checkout_is_fresh_and_goes_away(project: Project) -> None:
    bench = await make_bench(project)
    candidate = await collected(bench, "echo hello > app/hello.txt; echo ignored > app/x.log")

    for _ in range(2):
        async with bench.checkout(candidate.tip) as sandbox:
            result = await sandbox.call(
                "Bash", {"command": "cat app/hello.txt; ls app; git log -1 --format=%an; "
                                    "test ! -e trace; touch trace"}
            )  # fmt: skip
            assert result["exit_code"] == 0
            assert result["output"].split() == ["hello", "hello.txt", "main.py", "x.log", "Ada"]
    assert not list(bench.folder.glob("gate-*"))

    with pytest.raises(EnvironmentFailure, match="cannot check out 111111111111"):
        async with bench.checkout("1" * 40):
            pass
    assert not list(bench.folder.glob("gate-*"))

    await bench.remove(whole=True)
    assert not bench.folder.exists()


async def test_a_folder_that_cannot_be_made(project: Project) -> None:
    bench = await make_bench(project)
    shutil.rmtree(bench.folder)
    bench.folder.parent.mkdir(exist_ok=True)
    bench.folder.write_text("a file")

    with pytest.raises(EnvironmentFailure, match="cannot prepare") as caught:
        await bench.prepare()
    assert caught.value.hint.startswith("Free disk space")


HOSTILE = """
g=$(git rev-parse --git-dir); mkdir -p $g/hooks $g/info
for hook in pre-commit post-commit post-checkout reference-transaction post-index-change; do
  printf '#!/bin/sh\\ntouch CANARY-hook\\n' > $g/hooks/$hook; chmod +x $g/hooks/$hook
done
git config core.hooksPath $g/hooks
git config core.fsmonitor 'touch CANARY-fsmonitor; false'
git config core.sshCommand 'touch CANARY-ssh'
git config core.pager 'touch CANARY-pager'
git config core.editor 'touch CANARY-editor'
git config core.alternateRefsCommand 'touch CANARY-alternate'
git config credential.helper '!touch CANARY-credential'
git config uploadpack.packObjectsHook 'touch CANARY-pack'
git config diff.external 'touch CANARY-diff'
git config gpg.program 'touch CANARY-gpg'; git config commit.gpgSign true
git config alias.status '!touch CANARY-alias'; git config alias.add '!touch CANARY-add'
git config filter.evil.clean 'touch CANARY-clean; cat'
git config filter.evil.smudge 'touch CANARY-smudge; cat'
git config include.path /workspace/app/more.config
echo '* filter=evil diff=evil' > $g/info/attributes
echo x > app/x
"""


async def test_a_hostile_git_directory_runs_nothing_on_this_machine(
    project: Project, tmp_path: Path
) -> None:
    canaries = tmp_path / "canaries"
    canaries.mkdir()
    bench = await make_bench(project)

    candidate = await collected(bench, HOSTILE.replace("CANARY", f"{canaries}/canary"))

    assert paths(candidate) == ["app/x"]
    async with bench.checkout(candidate.tip) as sandbox:
        await sandbox.call("Bash", {"command": "git status"})
    assert list(canaries.iterdir()) == []
    assert project.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    "command",
    [
        "rm -r $(git rev-parse --git-dir)/objects/info/alternates",
        "echo /nowhere > $(git rev-parse --git-dir)/objects/info/alternates",
        "rm -rf /run/agentflow/git/*",
        "echo garbage > $(git rev-parse --git-dir)/HEAD",
        "git checkout -q --orphan other",
        "git init -q app/empty",
        "ln -sf /etc/passwd $(git rev-parse --git-dir)/config",
        "git config core.worktree /nowhere",
        "git config extensions.unknown yes; git config core.repositoryFormatVersion 1",
        "echo x > app/x; git add -A; git commit -qm x; o=$(git rev-parse HEAD:app/x); "
        "rm -f $(git rev-parse --git-dir)/objects/${o%${o#??}}/${o#??} app/x",
    ],
)
async def test_a_ruined_clone_is_a_violation_that_the_agent_hears_of(
    project: Project, command: str
) -> None:
    bench = await make_bench(project)

    result = await agent(bench, command)
    candidate = await bench.collect(AUTHORSHIP)

    assert result["exit_code"] == 0, result["output"]
    assert (candidate.tip, len(candidate.violations)) == (candidate.base, 1)
    assert candidate.violations[0].startswith((
        "your clone cannot be exported: ",
        "git refuses the exported objects: ",
    ))
    assert project.git("fsck", "--strict") == ""


async def test_an_export_cannot_be_forged_by_a_filter(project: Project) -> None:
    """A filter of the agent runs in the export's sandbox, and only there."""
    bench = await make_bench(project)

    candidate = await collected(
        bench,
        "g=$(git rev-parse --git-dir); mkdir -p $g/info; echo '* filter=evil' > $g/info/attributes;"
        "git config filter.evil.clean 'rm -f /run/agentflow/export/tips; ln -s /etc/passwd "
        "/run/agentflow/export/tips; ln -s /etc/shadow /run/agentflow/export/pack; cat';"
        "echo x > app/x",
    )

    assert len(candidate.violations) == 1


async def test_replaced_and_grafted_objects_are_seen_as_they_are(project: Project) -> None:
    bench = await make_bench(project)

    candidate = await collected(
        bench,
        "echo x > app/x; git add -A; git commit -qm x; git replace HEAD HEAD~1; "
        "mkdir -p $(git rev-parse --git-dir)/info; "
        "git rev-parse HEAD > $(git rev-parse --git-dir)/info/grafts",
    )

    assert paths(candidate) == ["app/x"]


async def test_a_commit_made_past_the_work_tree_is_refused(project: Project) -> None:
    bench = await make_bench(project)

    candidate = await collected(
        bench,
        "b=$(echo evil | git hash-object -w --stdin); "
        "git update-index --add --cacheinfo 100644,$b,README.md; git commit -qm sneaky; "
        "git update-index --cacheinfo 100644,$(git rev-parse HEAD~1:README.md),README.md; "
        "git commit -qm clean",
    )

    assert [v.partition(" ")[2] for v in candidate.violations] == [
        "(sneaky): M README.md: outside the allowed paths",
        "(clean): M README.md: outside the allowed paths",
    ]


async def test_assume_unchanged_hides_nothing(project: Project) -> None:
    bench = await make_bench(project)

    candidate = await collected(
        bench, "git update-index --assume-unchanged app/main.py; echo bad >> app/main.py"
    )

    assert paths(candidate) == ["app/main.py"]


async def test_the_users_repository_is_out_of_reach(project: Project) -> None:
    bench = await make_bench(project)
    before = project.git("for-each-ref")

    result = await agent(
        bench,
        f"ls {project.root} 2>&1; find /run/agentflow/objects -type f -exec rm -f {{}} + 2>&1; "
        "touch .git 2>&1; mv .git x 2>&1; true",
    )

    assert "No such file or directory" in result["output"]
    assert "Read-only file system" in result["output"]
    assert (bench.folder / "agent/tree/.git").read_text() == "gitdir: /run/agentflow/git\n"
    assert project.git("fsck", "--strict") == ""
    assert project.git("for-each-ref") == before


async def test_an_untracked_task_document_is_there_and_stays_out(project: Project) -> None:
    project.git("rm", "-q", "--cached", ".orchestrator/tasks/TASK-1.md")
    project.git("commit", "-qm", "forget the task")
    bench = await make_bench(project)

    candidate = await collected(
        bench, "grep -q 'Say hello' .orchestrator/tasks/TASK-1.md; echo x > app/x; git add -A"
    )

    assert bench.documents == (".orchestrator/tasks/TASK-1.md",)
    assert paths(candidate) == ["app/x"]


async def test_nested_stores_are_borrowed_inside_too(project: Project, tmp_path: Path) -> None:
    for name in ("second", "third"):
        source = project.root if name == "second" else tmp_path / "second"
        project.git("clone", "-q", "--shared", str(source), str(tmp_path / name))
    project.root = tmp_path / "third"
    project.world = type(project.world)(
        project.root, project.world.environment, project.world.cache
    )
    project.git("config", "user.name", "Ada")
    project.git("config", "user.email", "ada@example.com")
    bench = await make_bench(project)

    candidate = await collected(
        bench, "git fsck 2>&1; echo x > app/x; git add -A; git commit -qm x"
    )
    assert paths(candidate) == ["app/x"]
    async with bench.checkout(candidate.tip) as sandbox:
        result = await sandbox.call("Bash", {"command": "git log --format=%s; cat app/x"})
    assert result["output"].split("\n") == ["x", "feat: start", "x", ""]


async def in_gate(bench: Workbench, command: str, **variables: str) -> Json:
    async with bench.checkout(bench.plan.base, variables) as sandbox:
        return await sandbox.call("Bash", {"command": command, "timeout": 60})


async def test_a_gate_reads_the_history_and_cannot_write_it(project: Project) -> None:
    first = project.git("rev-parse", "HEAD")
    project.write("app/more.py", "more\n")
    project.commit()
    bench = await make_bench(project)

    read = await in_gate(
        bench,
        "git log --format=%s && git diff --name-only $AGENTFLOW_BASE && "
        "test $(git merge-base $AGENTFLOW_BASE HEAD) = $AGENTFLOW_BASE",
        AGENTFLOW_BASE=first,
    )
    assert (read["exit_code"], read["output"].split("\n")) == (
        0,
        ["more", "feat: start", "app/more.py", ""],
    )

    for command in (
        "git -c user.name=x -c user.email=x commit --allow-empty -m x",
        "git update-ref refs/heads/x HEAD",
        "git config core.hooksPath /tmp",
        "touch $(git rev-parse --git-dir)/canary",
    ):
        written = await in_gate(bench, command)
        assert written["exit_code"] != 0
        assert "Read-only file system" in written["output"] or "could not" in written["output"]


SURROUNDINGS = Environment(
    agent=Variables({"PLAIN": "a"}, {"TOKEN": "agent's"}),
    gates=Variables({"PLAIN": "b", "AGENTFLOW_BASE": "x"}, {"TOKEN": "gates'"}),
)


@pytest.mark.parametrize("sandbox", [AUTO, NONE])
async def test_agent_and_gates_have_variables_of_their_own(project: Project, sandbox: str) -> None:
    bench = await make_bench(project, SURROUNDINGS, sandbox=sandbox)
    show = "echo $PLAIN $TOKEN $AGENTFLOW_BASE"

    assert (await agent(bench, show))["output"] == "a agent's\n"
    assert (await in_gate(bench, show, AGENTFLOW_BASE="y"))["output"] == "b gates' y\n"


SERVER = """
import os, socket
server = socket.create_server(("127.0.0.1", 5999))
while True:
    connection, _ = server.accept()
    connection.sendall(b"hello " + os.environ["NAME"].encode())
    connection.close()
"""


async def test_services_are_there_for_the_agent_and_again_for_gates(project: Project) -> None:
    project.write("server.py", SERVER)
    project.commit()
    ask = "exec 3<>/dev/tcp/127.0.0.1/5999 && cat <&3"
    service = Service("greeter", "python3 server.py", ask, {"NAME": "you", "PORT": "5999"}, 20.0)
    bench = await make_bench(project, Environment(services=(service,)))

    for result in (
        await agent(bench, f"{ask}; echo $PORT"),
        await in_gate(bench, f"{ask}; echo $PORT"),
    ):
        assert result["output"] == "hello you5999\n"


def provide(source: Path, *paths: str):
    async def provided(commit: str) -> tuple[Provided, ...]:
        (source / "commit").write_text(commit)
        return tuple(Provided(source, path) for path in paths)

    return provided


@pytest.mark.parametrize("sandbox", [AUTO, NONE])
async def test_what_is_installed_is_seen_and_never_committed(
    project: Project, tmp_path: Path, sandbox: str
) -> None:
    modules = tmp_path / "modules"
    (modules / "left").mkdir(parents=True)
    (modules / "left/index.js").write_text("left\n")
    bench = await make_bench(project, sandbox=sandbox)
    await bench.equip(provide(modules, "node_modules", "app/node_modules"))

    candidate = await collected(
        bench,
        'test -z "$(git status --porcelain)" && cat app/node_modules/left/index.js && '
        "echo x > app/x && git add -A && git commit -qm mine && echo y > app/y",
    )

    assert paths(candidate) == ["app/x", "app/y"]
    async with bench.checkout(candidate.tip, {}) as gate:
        result = await gate.call(
            "Bash", {"command": "cat node_modules/commit && git status --porcelain"}
        )
    assert result["output"] == candidate.tip


@pytest.mark.parametrize("sandbox", [AUTO, NONE])
async def test_setup_has_its_own_variables_and_files_and_no_more(
    project: Project, sandbox: str
) -> None:
    home = Path(project.world.environment["HOME"])
    (home / ".npmrc").write_text("token=1\n")
    (home / ".config").mkdir()
    (home / ".config/pip.conf").write_text("index\n")
    (home / ".other").write_text("not yours\n")
    setup = Setup(
        "true",
        variables=Variables({"PLAIN": "setup"}, {"TOKEN": "t"}),
        files=(".npmrc", ".config/pip.conf", ".missing"),
    )
    bench = await make_bench(project, SURROUNDINGS, sandbox=sandbox)

    async with bench.setup_checkout(bench.plan.base, setup) as (channel, tree):
        result = await channel.call(
            "Bash",
            {
                "command": "cat ~/.npmrc ~/.config/pip.conf; echo $PLAIN $TOKEN; "
                "ls ~/.other ~/.missing 2>/dev/null; git rev-parse HEAD && touch made"
            },
        )
        await channel.close()
        assert (tree / "made").exists()
    assert result["output"].split("\n") == ["token=1", "index", "setup t", bench.plan.base, ""]
    assert not tree.exists()
    assert (home / ".npmrc").read_text() == "token=1\n"


async def test_setup_cannot_write_the_history_or_the_users_files(project: Project) -> None:
    home = Path(project.world.environment["HOME"])
    (home / ".npmrc").write_text("token=1\n")
    bench = await make_bench(project)

    async with bench.setup_checkout(bench.plan.base, Setup("true", files=(".npmrc",))) as (
        channel,
        _,
    ):
        for command in ("echo x >> ~/.npmrc", "rm ~/.npmrc", "git update-ref refs/heads/x HEAD"):
            result = await channel.call("Bash", {"command": command})
            assert result["exit_code"] != 0, command
    assert (home / ".npmrc").read_text() == "token=1\n"


async def test_the_toolchain_has_a_name(project: Project) -> None:
    bench = await make_bench(project)

    found = dict(line.split(" ", 1) for line in bench.toolchain.splitlines())

    assert found["sandbox"]
    assert found["python3"].startswith("/")


FORMAT = BuildCommand("format", "sed -i 's/ *$//' app/*.py tests/*.py && git add -A", fix=True)


async def fixed(
    bench: Workbench, candidate: Candidate, *commands: BuildCommand
) -> tuple[Candidate, list[str]]:
    events: list[Event] = []
    result = await bench.mending.mend(candidate, commands, AUTHORSHIP, events.append)
    return result, [event.text for event in events if isinstance(event, Notice)]


@pytest.mark.parametrize("sandbox", [AUTO, NONE])
async def test_what_a_formatter_changed_is_folded_into_the_last_commit(
    project: Project, sandbox: str
) -> None:
    project.write("tests/test_main.py", "def test_main():   \n    assert True\n")
    project.commit()
    bench = await make_bench(project, sandbox=sandbox)
    candidate = await collected(
        bench,
        "echo 'a = 1   ' > app/a.py; git add -A; git commit -qm first; "
        "echo 'b = 1   ' > app/b.py; git add -A; git commit -qm 'second\n\nFixes: #1'",
    )

    result, notices = await fixed(bench, candidate, FORMAT, BuildCommand("test", "false"))

    assert result.commits[0] == candidate.commits[0]
    assert result.commits[1].message == candidate.commits[1].message
    assert result.commits[1].parents == candidate.commits[1].parents
    assert (result.tip, len(result.commits)) == (result.commits[1].sha, 2)
    assert [c.path for c in result.commits[1].changes] == ["app/a.py", "app/b.py"]
    assert list(result.claimed.values()) == [c.sha for c in result.commits]
    assert (result.files_changed, result.insertions, result.deletions) == (2, 2, 0)
    show = ("show", f"{result.tip}:app/a.py", f"{result.tip}:app/b.py")
    assert bench.state.text(*show) == "a = 1\nb = 1"
    assert bench.state.text("log", "-1", "--format=%an %ae %at", result.tip) == (
        f"{AUTHORSHIP.name} {AUTHORSHIP.email} {AUTHORSHIP.seconds}"
    )
    assert notices == [
        "format changed 2 files: folded into the last commit",
        "format changed what is left out: tests/test_main.py: outside the allowed paths",
    ]
    assert await fixed(bench, result, FORMAT) == (result, [notices[1]])
    assert not list(bench.folder.glob("fix-*"))


async def test_a_formatter_that_fails_changes_nothing(project: Project) -> None:
    bench = await make_bench(project)
    candidate = await collected(bench, "echo 'a = 1   ' > app/a.py")

    for failing in (
        BuildCommand("format", f"{FORMAT.command}; exit 1", fix=True),
        BuildCommand("format", FORMAT.command, fix=True, cwd="nosuch"),
        BuildCommand("format", "sed -i s/1/2/ app/a.py; sleep 9", fix=True, timeout=0.2),
    ):
        assert await fixed(bench, candidate, FORMAT, failing) == (candidate, [])


async def test_a_formatter_that_is_not_concerned_is_not_run(project: Project) -> None:
    bench = await make_bench(project)
    candidate = await collected(bench, "echo 'a = 1   ' > app/a.py")
    elsewhere = BuildCommand("format", FORMAT.command, fix=True, paths=("web/**",))
    in_ci = BuildCommand("format", FORMAT.command, fix=True, where="ci")

    assert await fixed(bench, candidate, elsewhere, in_ci) == (candidate, [])


async def test_a_hostile_formatter_folds_only_plain_files(project: Project) -> None:
    bench = await make_bench(project)
    candidate = await collected(bench, "echo x > app/x")
    command = (
        "ln -s /etc/passwd app/link; echo '* filter=x' > app/.gitattributes; rm -r tests; "
        "git init -q app/nested; (cd app/nested; git commit -q --allow-empty -m x); "
        "git commit -qam evil --amend; echo y > app/x; "
        "git config core.fsmonitor 'touch /tmp/canary'"
    )

    result, notices = await fixed(bench, candidate, BuildCommand("format", command, fix=True))

    assert [c.path for c in result.commits[0].changes] == ["app/x"]
    assert result.commits[0].message == candidate.commits[0].message
    assert len(notices) == 2
    for reason in ("app/link: is no plain file", "app/nested: is no plain file", "protected ("):
        assert reason in notices[1]


async def test_a_formatter_deletes_nothing_beside_what_it_may_change(project: Project) -> None:
    """A file that takes a folder's place takes its files away, and the other way round."""
    project.write("app/gen1/keep.txt", "mine\n")
    project.commit()
    project.task("allow: [app/*]")
    bench = await make_bench(project)
    candidate = await collected(bench, "echo x > app/x")
    command = "rm -r app/gen1; echo y > app/gen1; echo y > app/x"

    result, _ = await fixed(bench, candidate, BuildCommand("format", command, fix=True))

    left = bench.state.text("ls-tree", "-r", "--name-only", result.tip, "app/").splitlines()
    assert "app/gen1/keep.txt" in left


async def test_a_formatter_adds_no_pointer_to_nothing(project: Project) -> None:
    project.write(".gitattributes", "*.svg filter=lfs diff=lfs merge=lfs -text\n")
    project.commit()
    bench = await make_bench(project)
    candidate = await collected(bench, "echo x > app/x")
    command = "echo '<svg/>' > app/new.svg; echo y > app/x"

    result, notices = await fixed(bench, candidate, BuildCommand("format", command, fix=True))

    assert [c.path for c in result.commits[-1].changes] == ["app/x"]
    assert "app/new.svg: is tracked by Git LFS" in notices[1]


@pytest.mark.parametrize("place", ["agent", "gate"])
async def test_a_service_that_fails_tells_no_secret(project: Project, place: str) -> None:
    service = Service("db", "env; exit 1", "false", {}, 5.0)
    secret = Variables({}, {"TOKEN": "hidden-value"})
    bench = await make_bench(project, Environment(services=(service,), agent=secret, gates=secret))

    with pytest.raises(EnvironmentFailure) as caught:
        await (agent(bench, "true") if place == "agent" else in_gate(bench, "true"))

    assert "TOKEN=[redacted]" in caught.value.message
    assert "hidden-value" not in caught.value.message


async def test_a_service_that_a_change_breaks_fails_the_gate(project: Project) -> None:
    """The agent can mend that; it is no failure of this machine."""
    project.write("app/server.py", "import time; time.sleep(60)\n")
    project.commit()
    service = Service("app", "python3 app/server.py", "sleep 0.5", {}, 5.0)
    secret = Variables({}, {"TOKEN": "hidden-value"})
    bench = await make_bench(project, Environment(services=(service,), gates=secret))
    program = 'import os; print(os.environ.get("TOKEN")); exit(3)'
    candidate = await collected(bench, f"echo '{program}' > app/server.py")
    commands = Commands(bench.checkout, bench.state, redactor(["hidden-value"]))
    change = Change(candidate.base, candidate.tip)

    evidence = await commands.run(BuildCommand("test", "true"), candidate.tip, change)
    mended, _ = await fixed(bench, candidate, BuildCommand("format", "true", fix=True))

    assert (evidence.status, evidence.detail) == ("failed", "[redacted]")
    assert evidence.summary.startswith("could not be run: the service 'app' ended with exit code 3")
    assert mended == candidate
    with pytest.raises(EnvironmentFailure, match="the service 'app' ended"):
        await commands.run(
            BuildCommand("test", "true"), candidate.tip, Change(candidate.tip, candidate.tip)
        )


async def test_an_agents_change_is_never_installed_with_this_machines_network(
    project: Project,
) -> None:
    project.write("app/install.sh", "mkdir -p deps\n")
    project.commit()
    setup = Setup("sh app/install.sh", provides=("deps",), host_network=True)
    bench = await make_bench(project, Environment(setup=setup))
    await bench.install(lambda _: None, lambda text: text)
    with socket.create_server(("127.0.0.1", 0)) as mine:
        port = mine.getsockname()[1]
        candidate = await collected(
            bench,
            "echo 'mkdir -p deps; echo none > deps/it; bash -c \"exec 3<>/dev/tcp/127.0.0.1/"
            f"{port}\" && echo reached > deps/it; true' > app/install.sh",
        )
        assert bench.installation
        await bench.installation.judge(candidate)
        result = await in_gate_of(bench, candidate.tip, "cat deps/it")

    assert result["output"] == "none\n"


async def in_gate_of(bench: Workbench, commit: str, command: str) -> Json:
    async with bench.checkout(commit, {}) as sandbox:
        return await sandbox.call("Bash", {"command": command, "timeout": 60})
