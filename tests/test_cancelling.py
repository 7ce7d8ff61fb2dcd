"""Cancelling: only the process that proves to hold a task's lock is interrupted."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentflow.cancelling import cancel, holder
from agentflow.errors import UsageError
from agentflow.runs import is_running, task_lock

HOLD = """
import sys, time
from pathlib import Path
from agentflow.runs import task_lock
with task_lock(Path(sys.argv[1]), "A"):
    print("held", flush=True)
    time.sleep(60)
"""
IDLE = "print('held', flush=True); import time; time.sleep(60)"


@contextmanager
def process(code: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
    made = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert made.stdout
        assert made.stdout.readline() == "held\n"
        yield made
    finally:
        made.kill()
        made.communicate()


def test_the_process_that_holds_the_lock_is_interrupted(tmp_path: Path) -> None:
    with process(HOLD, str(tmp_path)) as at_work:
        assert is_running(tmp_path, "A")
        assert holder(tmp_path, "A") == at_work.pid
        assert cancel(tmp_path, "A") == at_work.pid
        assert at_work.wait(timeout=60) == -signal.SIGINT
    assert not is_running(tmp_path, "A")
    assert holder(tmp_path, "A") is None
    with pytest.raises(UsageError, match="no process of this machine and user works on A"):
        cancel(tmp_path, "A")


@pytest.mark.parametrize("said", ["{pid}", "", "x", "-1", "0", "1", "99999999999999", "٣"])
def test_a_process_that_does_not_hold_it_is_left_alone(tmp_path: Path, said: str) -> None:
    """Whatever the file says: nothing, a number that was used again, or one that was planted."""
    with process(IDLE) as other, process(HOLD, str(tmp_path)) as at_work:
        for name in ("A", "B"):  # one that another process holds, and one that nobody holds
            (tmp_path / f"{name}.lock").write_text(said.format(pid=other.pid))
            assert holder(tmp_path, name) is None
            with pytest.raises(UsageError):
                cancel(tmp_path, name)
        assert (other.poll(), at_work.poll()) == (None, None)


def test_having_the_file_open_is_no_proof(tmp_path: Path) -> None:
    code = "import sys, time; file = open(sys.argv[1]); print('held', flush=True); time.sleep(60)"
    with task_lock(tmp_path, "A"):
        pass
    lock = tmp_path / "A.lock"
    with process(code, str(lock)) as reader:
        lock.write_text(f"{reader.pid}")
        assert holder(tmp_path, "A") is None


def test_looking_takes_no_look_for_a_run(tmp_path: Path) -> None:
    with task_lock(tmp_path, "A"):
        pass
    before = (tmp_path / "A.lock").stat()
    shared = os.open(tmp_path / "A.lock", os.O_RDONLY)
    import fcntl

    fcntl.flock(shared, fcntl.LOCK_SH)  # as somebody else who looks
    assert not is_running(tmp_path, "A")
    os.close(shared)
    after = (tmp_path / "A.lock").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    assert not is_running(tmp_path, "B")
    assert not (tmp_path / "B.lock").exists()
