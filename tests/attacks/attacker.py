"""The attacks' process as the tests see it: started once, as a throw-away user, and asked by id."""

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from tests.attacks.surroundings import PROJECT, Surroundings, surroundings
from tests.attacks.user import processes_of, throw_away_user


class Attacker:
    """Runs cases in a child process."""

    def __init__(self, around: Surroundings, uid: int | None, wrapper: Sequence[str] = ()) -> None:
        """Start it. `wrapper` is a command line to which the child's is appended."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the child)
        self._child = subprocess.Popen(
            [*wrapper, around.interpreter, "-s", "-P", "-m", "tests.attacks.runner", around.folder],
            cwd=around.folder,
            env=around.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
            umask=0o022,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else (),
        )

    def attack(self, case: str, backend: str = "bubblewrap") -> str:
        """Run a case; return what went wrong, empty if the product held."""
        assert self._child.stdin
        assert self._child.stdout
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(json.dumps([case, backend]) + "\n")
            self._child.stdin.flush()
        line = self._child.stdout.readline()
        return json.loads(line)["problem"] if line else f"the attacker ended: {self._last_words()}"

    def close(self) -> None:
        """Let it end."""
        with self._child, contextlib.suppress(BrokenPipeError):
            assert self._child.stdin
            self._child.stdin.close()
            try:
                self._child.wait(30)
            except subprocess.TimeoutExpired:
                self._child.kill()
                raise
            finally:
                self._errors.close()

    def _last_words(self) -> str:
        self._child.wait(30)
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace")[-4000:]
        return f"exit code {self._child.returncode}\n{said}"


@contextlib.contextmanager
def attacker(
    project: Path = PROJECT, wrapper: Sequence[str] = (), *, lenient: bool = False
) -> Generator[Attacker]:
    """An attacker of the product in a project's folder.

    When it ends, its user must have no process, except with `lenient`.
    """
    with throw_away_user() as uid, surroundings(uid, project) as around:
        child = Attacker(around, uid, wrapper)
        try:
            yield child
        finally:
            child.close()
        # The first process of an outer namespace ends a moment after its parent has said so.
        end = time.monotonic() + (5 if wrapper else 0)
        while (left := [] if uid is None else processes_of(uid)) and time.monotonic() < end:
            time.sleep(0.01)
        assert lenient or not left, f"processes of user {uid} outlived the attacks: {left}"
