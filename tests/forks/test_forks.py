"""A fork is what a process of its own would be, seen from outside and from inside."""

import json
import os
import resource
import shlex
import signal
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.forks.programs import forked, fresh, on_path
from tests.patience import PATIENCE, patiently

TOLD = """
import json, os, resource, signal, sys
def stream(each):
    return each and (each.fileno(), each.encoding, each.errors, each.line_buffering, each.mode)
mask = os.umask(0)
print(json.dumps({
    "arguments": sys.argv[1:], "name": __name__, "path": sys.path[0], "directory": os.getcwd(),
    "environment": dict(os.environ), "mask": mask, "session": os.getsid(0) == os.getsid(os.getppid()),
    "limits": [resource.getrlimit(each) for each in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS)],
    "descriptors": [n for n in range(256) if os.path.exists(f"/proc/self/fd/{n}")],
    "inherited": [os.get_inheritable(n) for n in range(3)],
    "streams": [stream(each) for each in (sys.stdin, sys.stdout, sys.stderr)],
    "signals": [str(signal.getsignal(each)) for each in (2, 15, 13, 17)],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "read": os.read(int(sys.argv[1]), 9).decode(),
}))
sys.exit(3)
"""


def command_of(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()


def told(command: list[str], folder: Path, environment: Mapping[str, str]) -> dict[str, object]:
    """What a program that is started in some odd way says of itself."""
    reading, writing = os.pipe()
    os.write(writing, b"from afar")
    os.close(writing)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
        resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 32))
        os.umask(0o31)

    ended = subprocess.run(
        [*command, str(reading), "ä", "\udcff"],
        cwd=folder, env=environment, pass_fds=[reading], preexec_fn=limit,
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    os.close(reading)
    assert (ended.returncode, ended.stderr) == (3, "")
    return json.loads(ended.stdout)


@pytest.mark.parametrize(
    "variables", [{}, {"LANG": "C.UTF-8"}, {"LC_ALL": "C", "TZ": "Asia/Tokyo"}]
)
def test_a_program_is_told_the_same_in_a_fork(tmp_path: Path, variables: dict[str, str]) -> None:
    (tmp_path / "program.py").write_text(TOLD)
    environment = {"PATH": os.environ["PATH"], "WORD": "ö\udc80", **variables}
    alone = told(fresh("program"), tmp_path, environment)

    assert told(forked("program"), tmp_path, environment) == {**alone, "session": False}
    assert alone["read"] == "from afar"
    assert (alone["limits"], alone["mask"]) == ([[200, 300], [1 << 31, 1 << 32]], 0o31)


def test_a_failure_looks_the_same_in_a_fork(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import atexit\natexit.register(print, 'end')\n1 / 0\n")
    for command in (forked("program"), fresh("program")):
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (1, "end\n")
        assert ended.stderr.endswith("ZeroDivisionError: division by zero\n")


@contextmanager
def served(*arguments: str, **variables: str) -> Generator[subprocess.Popen[str]]:
    """A scripted model as a process, which has told its URL; it ends with the block."""
    script = Path(__file__).parents[1] / "site/replies.yaml"
    with subprocess.Popen(
        [*arguments, *forked("agentflow.models.scripted", str(script))],
        env={"PATH": os.environ["PATH"], **variables}, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("http://127.0.0.1:")
            yield process
        finally:
            process.kill()


@pytest.fixture
def hung_up() -> Generator[None]:
    """A hang-up ends processes, also where the tests were started to outlive one (`nohup`)."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hung_up")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9), (signal.SIGHUP, -1)]
)  # fmt: skip
def test_signals_reach_a_fork(number: signal.Signals, code: int) -> None:
    with served() as process:
        assert b"caller.py" in command_of(process.pid)
        process.send_signal(number)
        assert process.stdout is not None
        with patiently():
            assert process.stdout.read() == ""  # when the last process that could write has ended
        assert process.wait(PATIENCE) == code


@pytest.mark.parametrize("how", ["a variable", "a locale", "a namespace", "no server"])
def test_what_a_fork_cannot_be_gets_an_interpreter(how: str) -> None:
    variables = {"a variable": {"PYTHONUTF8": "1"}, "a locale": {"LC_ALL": "de_DE.ISO-8859-1"}}
    unshared = ("unshare", "--map-root-user", "--uts", "--mount") if how == "a namespace" else ()
    if how == "no server":
        command = [word.replace("/socket", "/none") for word in forked("agentflow", "version")]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ended.stdout.startswith("agentflow ")
        return
    with served(*unshared, **variables.get(how, {})) as process:
        assert b"caller.py" not in command_of(process.pid)
        process.terminate()
        assert process.stdout is not None
        assert process.stdout.read() == ""
        assert process.wait(PATIENCE) == 0


def test_a_shell_finds_the_program() -> None:
    line = f"agentflow version; agentflow {shlex.quote('no such')} 2>&1; echo $?"
    ended = subprocess.run(
        ["bash", "-c", line], env={"PATH": f"{on_path()}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout.startswith("agentflow ")
    assert "No such command 'no such'" in ended.stdout
    assert ended.stdout.endswith("\n2\n")
