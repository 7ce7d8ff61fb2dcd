"""What a process inside can see, change and reach; asked from inside, without the toolbox."""

import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.sandbox import bubblewrap
from agentflow.sandbox.descriptors import Descriptors
from agentflow.sandbox.policy import Mount, Policy
from agentflow.sandbox.program import toolbox_command
from tests.needs import miss, need_root

Inside = Callable[[Policy, Sequence[str]], subprocess.CompletedProcess[str]]
"""Runs one program in a sandbox."""

pytestmark = pytest.mark.sandbox

TRY_WRITES = 'for f in "$@"; do (echo agent > "$f") 2>/dev/null && echo "$f"; done; true'
"""Prints those of its arguments that can be written."""


def _sh(script: str, *arguments: str) -> list[str]:
    return ["/bin/bash", "-c", script, "bash", *arguments]


def _written(inside: Inside, policy: Policy, *paths: str) -> list[str]:
    return inside(policy, _sh(TRY_WRITES, *paths)).stdout.split()


def test_only_writable_directories_change_and_protected_ones_stay(
    inside: Inside, tree: Path
) -> None:
    policy = Policy(
        tree=tree,
        writable=("apps/api", "new/deep"),
        protected=("apps/api/vendor", "apps/absent"),
    )
    attempts = ("apps/api/file", "apps/api/made", "new/deep/made", "apps/web/file", "made",
                "apps/api/vendor/file", "apps/api/vendor/made", ".git", "new/made")  # fmt: skip
    assert _written(inside, policy, *attempts) == [
        "apps/api/file",
        "apps/api/made",
        "new/deep/made",
    ]
    changed = {str(f.relative_to(tree)) for f in tree.rglob("*") if f.is_file()}
    changed = {name for name in changed if (tree / name).read_text() == "agent\n"}
    assert changed == {"apps/api/file", "apps/api/made", "new/deep/made"}
    assert {(tree / name).stat().st_uid for name in changed} == {os.getuid()}
    assert {(tree / name).stat().st_gid for name in changed} == {os.getgid()}


def test_the_whole_tree_is_writable_but_for_what_is_protected(inside: Inside, tree: Path) -> None:
    policy = Policy(tree=tree, protected=("apps/web",))
    attempts = ("made", "apps/api/file", "apps/web/file", ".git")
    assert _written(inside, policy, *attempts) == ["made", "apps/api/file"]
    script = "mv apps/web apps/other; mv .git x; rm -rf apps/web .git; ln -sfn / apps/web/l; ls -A"
    ended = inside(policy, _sh(script))
    assert (tree / "apps/web/file").read_text() == "original\n"
    assert (tree / ".git").read_text() == "gitdir: /run/agentflow/git\n"
    assert ".git" in ended.stdout.split()


def test_a_protected_directory_wins_over_a_writable_one_in_it(inside: Inside, tree: Path) -> None:
    policy = Policy(tree=tree, writable=("apps/api/vendor",), protected=("apps/api",))
    assert _written(inside, policy, "apps/api/vendor/file", "apps/api/file") == []


def test_a_boundary_that_is_a_link_starts_nothing(inside: Inside, tree: Path) -> None:
    outside = tree.parent / "outside"
    outside.mkdir()
    (tree / "apps/evil").symlink_to("web")
    (tree / "src").symlink_to(f"/oldroot{outside}")
    for path in ("apps/evil", "src/made"):
        with pytest.raises(UsageError, match="is a symbolic link"):
            inside(Policy(tree=tree, writable=(path,)), ["/bin/true"])
    (tree / ".orchestrator").symlink_to(outside)
    with pytest.raises(UsageError, match=r"'.orchestrator' in the repository is a symbolic link"):
        inside(Policy(tree=tree), ["/bin/true"])
    assert list(outside.iterdir()) == []


def test_links_made_inside_lead_nowhere_outside(inside: Inside, tree: Path) -> None:
    secret = tree.parent / "secret"
    secret.write_text("canary")
    script = 'ln -s "$1" apps/api/l; cat apps/api/l; ln -s ../web apps/api/w; echo x > apps/api/w/f'
    ended = inside(Policy(tree=tree, writable=("apps/api",)), _sh(script, str(secret)))
    assert "canary" not in ended.stdout
    assert not (tree / "apps/web/f").exists()


def test_the_root_the_devices_and_the_kernels_settings_are_read_only(
    inside: Inside, tree: Path
) -> None:
    attempts = ("/made", "/dev/made", "/etc/made", "/run/made", "/run/agentflow/made", "/usr/made",
                "/home/made", "/run/agentflow/toolbox/made", "/etc/passwd",
                "/tmp/made", "/dev/shm/made", "/home/agent/made")  # fmt: skip
    written = _written(inside, Policy(tree=tree), *attempts)
    assert written == ["/tmp/made", "/dev/shm/made", "/home/agent/made"]
    # Opened, never written: a success would reach the kernel of this machine.
    script = (
        "find /proc -type f -not -path '/proc/[0-9]*' -perm -u+w 2>/dev/null | "
        'while read -r f; do (exec 9>>"$f") 2>/dev/null && echo "$f"; done; '
        "(exec 9>>/proc/sys/kernel/core_pattern) 2>&1; (exec 9>>/proc/self/comm) 2>&1; true"
    )
    ended = inside(Policy(tree=tree), _sh(script))
    assert [line.split(": ")[-2:] for line in ended.stdout.splitlines()] == [
        ["/proc/sys/kernel/core_pattern", "Read-only file system"],
        ["/proc/self/comm", "Read-only file system"],
    ]


def test_what_is_in_memory_is_bounded(inside: Inside, tree: Path) -> None:
    script = "df -B1 --output=size,target /tmp /home/agent /dev/shm .orchestrator/complete"
    ended = inside(Policy(tree=tree, scratch_size=2**20, home_size=2**21), _sh(script))
    rows = [line.split() for line in ended.stdout.splitlines()[1:]]
    assert {target: int(size) for size, target in rows} == {
        "/tmp": 2**20,
        "/home/agent": 2**21,
        "/dev/shm": 2**28,
        "/workspace/.orchestrator/complete": 2**22,
    }


def test_the_environment_is_made_and_nothing_of_the_host_is_seen(
    inside: Inside, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    policy = Policy(tree=tree, environment={"LANG": "de", "NEW": "1"}, path=("/opt/x/bin",))
    script = (
        "env | sort; cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep hunter2; hostname; id; pwd; "
        "ls -A ~; ls -d /sys /var /mnt /srv 2>/dev/null; echo /proc/[0-9]*; "
        "grep Cap /proc/self/status | sort -u -k2 | wc -l; grep NoNewPrivs /proc/self/status"
    )
    lines = inside(policy, _sh(script)).stdout.splitlines()
    assert [line for line in lines if not line.startswith(("_=", "SHLVL=", "PWD="))] == [
        "CI=1",
        "GIT_AUTHOR_EMAIL=agent@sandbox.invalid",
        "GIT_AUTHOR_NAME=agent",
        "GIT_COMMITTER_EMAIL=agent@sandbox.invalid",
        "GIT_COMMITTER_NAME=agent",
        "GIT_OPTIONAL_LOCKS=0",
        "GIT_TERMINAL_PROMPT=0",
        "HOME=/home/agent",
        "LANG=de",
        "LOGNAME=agent",
        "NEW=1",
        "PATH=/opt/x/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONDONTWRITEBYTECODE=1",
        "SHELL=/bin/bash",
        "TERM=dumb",
        "USER=agent",
        "sandbox",
        "uid=1000(agent) gid=1000(agent) groups=1000(agent)"
        + (",65534(nogroup)" if os.getgroups() not in ([], [os.getgid()]) else ""),
        "/workspace",
        "/proc/1",  # this shell, which waited for all others
        "1",  # all capability sets are the same: empty
        "NoNewPrivs:\t1",
    ]


def test_neither_the_network_nor_a_socket_of_the_host_can_be_reached(
    inside: Inside, tree: Path
) -> None:
    script = """
import socket, sys
def reach(family, address):
    with socket.socket(family) as s:
        s.settimeout(2)
        try: s.connect(address)
        except OSError as error: return type(error).__name__
        return "reached"
ours = socket.socket(socket.AF_UNIX); ours.bind("/tmp/socket"); ours.listen()
print(reach(socket.AF_INET, ("127.0.0.1", int(sys.argv[1]))))
print(reach(socket.AF_UNIX, "\\0" + sys.argv[2]))
print(reach(socket.AF_INET, ("192.0.2.1", 80)))
print(reach(socket.AF_UNIX, "/tmp/socket"))
"""
    name = f"agentflow-test-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        abstract.bind(f"\0{name}")
        abstract.listen()
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        command = [toolbox_command("")[0], "-I", "-S", "-c", script, str(port), name]
        ended = inside(Policy(tree=tree), command)
    assert ended.stdout.split() == [
        "ConnectionRefusedError",
        "ConnectionRefusedError",
        "OSError",
        "reached",
    ], ended.stderr


def test_no_namespace_mount_or_inherited_file_helps_out(inside: Inside, tree: Path) -> None:
    script = (
        "for c in 'unshare -Ur true' 'unshare -m true' 'umount /workspace' "
        "'mount -o remount,rw /' 'mount --bind /tmp /usr' 'chroot / true'; do "
        '$c 2>/dev/null && echo "$c"; done; ls /proc/self/fd | tr "\\n" " "'
    )
    assert inside(Policy(tree=tree), _sh(script)).stdout == "0 1 2 3 "  # 3 is `ls` reading


def test_mounts_masks_and_their_refusals(inside: Inside, tree: Path, tmp_path: Path) -> None:
    tools, own = tmp_path / "tools", tmp_path / "own"
    for folder in (tools, own):
        folder.mkdir()
        (folder / "file").write_text("content\n")
    (tools / ".npmrc").write_text("token")
    policy = Policy(
        tree=tree,
        mounts=(Mount(tools, "/opt/tools"), Mount(own, "/run/agentflow/out", writable=True)),
        masked=("/opt/tools/.npmrc",),
    )
    script = "cat /opt/tools/.npmrc && cat /opt/tools/file && stat -c %a /opt/tools/.npmrc"
    assert inside(policy, _sh(script)).stdout == "content\n644\n"
    attempts = ("/opt/tools/file", "/opt/tools/.npmrc", "/run/agentflow/out/file")
    assert _written(inside, policy, *attempts) == ["/run/agentflow/out/file"]
    for target in ("relative", "/workspace/apps", "/tmp/../workspace/x"):
        with pytest.raises(UsageError, match="nothing can be mounted at"):
            inside(Policy(tree=tree, mounts=(Mount(tools, target),)), ["/bin/true"])
    with pytest.raises(EnvironmentFailure, match="gone, which the sandbox should show, is missing"):
        inside(Policy(tree=tree, mounts=(Mount(tmp_path / "gone", "/x"),)), ["/bin/true"])


def test_the_agent_commits_into_its_private_git_directory(inside: Inside, tmp_path: Path) -> None:
    tree, git = tmp_path / "work", tmp_path / "git"
    command = ["git", "init", "-q", f"--separate-git-dir={git}", str(tree)]
    subprocess.run(command, check=True, env={"PATH": os.defpath, "GIT_CONFIG_GLOBAL": "/dev/null"})
    (tree / ".git").write_text("gitdir: /run/agentflow/git\n")
    policy = Policy(tree=tree, mounts=(Mount(git, "/run/agentflow/git", writable=True),))
    script = "echo 1 > a && git add a && git commit -qm one && git status --short && git log -1"
    ended = inside(policy, _sh(script))
    assert (ended.stderr, ended.returncode) == ("", 0)
    shown = subprocess.run(
        ["git", f"--git-dir={git}", "log", "--format=%an <%ae> %s"],
        capture_output=True, text=True, check=True,
        env={"PATH": os.defpath, "GIT_CONFIG_COUNT": "1",
             "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"},
    )  # fmt: skip
    assert shown.stdout == "agent <agent@sandbox.invalid> one\n"


def test_without_mounts_by_descriptor_the_walked_path_is_mounted(
    bwrap: str, tree: Path, tmp_path: Path
) -> None:
    older = tmp_path / "bwrap"
    older.write_text(f'#!/bin/sh\n[ "$1" = --help ] && exec echo old\nexec {bwrap} "$@"\n')
    older.chmod(0o755)
    policy = Policy(tree=tree, writable=("apps/api",), protected=("apps/api/vendor",))
    with Descriptors() as descriptors:
        command = _sh(TRY_WRITES, "apps/api/x", "apps/api/vendor/x", "x", ".git")
        program = bubblewrap.prepare(str(older), policy, command, descriptors)
        ended = subprocess.run(
            program.argv,
            env=dict(program.environment),
            pass_fds=program.descriptors,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (ended.stdout, ended.stderr) == ("apps/api/x\n", "")


def test_the_death_of_the_parent_ends_even_what_does_not_listen(bwrap: str, tree: Path) -> None:
    script = """
import subprocess, sys
from pathlib import Path
from agentflow.sandbox import bubblewrap
from agentflow.sandbox.descriptors import Descriptors
from agentflow.sandbox.policy import Policy
with Descriptors() as descriptors:
    command = ["/bin/bash", "-c", "exec 9>>lock; flock 9; echo locked; exec sleep 20"]
    program = bubblewrap.prepare(sys.argv[1], Policy(tree=Path(sys.argv[2])), command, descriptors)
    subprocess.run(program.argv, env=dict(program.environment), pass_fds=program.descriptors)
"""
    command = [sys.executable, "-c", script, bwrap, str(tree)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        child.kill()
    with (tree / "lock").open("ab") as lock:
        end = time.monotonic() + 5
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                assert time.monotonic() < end
                time.sleep(0.005)
            else:
                break


def test_an_ordinary_user_has_the_same_sandbox(bwrap: str, tmp_path: Path) -> None:
    need_root()  # to become another user
    script = """
import asyncio, os, sys, tempfile
from pathlib import Path
from agentflow.sandbox import open_sandbox, probe
from agentflow.sandbox.descriptors import Descriptors
from agentflow.sandbox.policy import Policy
async def main():
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree"); tree.mkdir()
        async with open_sandbox("auto", Policy(tree=tree, writable=("open",))) as sandbox:
            arguments = {"command": "id -un; touch open/x; touch y", "timeout": 10}
            print((await sandbox.call("Bash", arguments))["output"].splitlines()[0])
        print([str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file()],
              (tree / "open/x").stat().st_uid)
print(probe()); asyncio.run(main())
"""
    source = Path(bubblewrap.__file__).parents[2]
    if not Path("/usr/bin/python3").exists() or not os.access(source, os.X_OK):
        miss("the system has no Python of its own")
    user = ["setpriv", "--reuid=61234", "--regid=61234", "--clear-groups"]
    python = ["/usr/bin/python3", "-B", "-c", script]
    ended = subprocess.run(
        [*user, *python],
        env={"PATH": os.defpath, "PYTHONPATH": str(source)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("None\nagent\n['open/x'] 61234\n", "")


def test_a_protected_path_behind_a_link_is_left_to_the_import(inside: Inside, tree: Path) -> None:
    (tree / "AGENTS.md").write_text("original\n")
    (tree / ".cursorrules").symlink_to("AGENTS.md")
    policy = Policy(tree, protected=(".cursorrules", "apps/web"))
    ended = inside(policy, ["/bin/sh", "-c", "cat .cursorrules; echo x > apps/web/file"])
    assert ended.stdout == "original\n"
    assert "Read-only file system" in ended.stderr
