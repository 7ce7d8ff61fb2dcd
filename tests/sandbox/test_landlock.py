"""The Landlock back end on the real kernel: one child runs all trials, each is a test here."""

import json
import subprocess
from collections.abc import Mapping

import pytest

from agentflow.toolbox.landlock import LEAST_ABI, abi
from tests.attacks.outer import OUTER
from tests.attacks.surroundings import surroundings
from tests.attacks.user import throw_away_user
from tests.needs import miss
from tests.sandbox.landlock_trials import TRIALS


@pytest.fixture(scope="session")
def problems(bwrap: str) -> Mapping[str, str]:
    """What went wrong in each trial, in a PID namespace that ends with them."""
    if abi() < LEAST_ABI:
        miss(f"the kernel's Landlock has ABI {abi()}")
    with throw_away_user() as uid, surroundings(uid) as around:
        command = [str(around.interpreter), "-s", "-P", "-m", "tests.sandbox.landlock_trials"]
        ended = subprocess.run(
            # With a capability, or nobody could tell whether it is dropped.
            [bwrap, "--cap-add", "CAP_CHOWN", *OUTER[1:], *command, str(around.folder)],
            cwd=around.folder,
            env=around.environment,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else (),
            umask=0o022,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.sandbox
@pytest.mark.parametrize("name", list(TRIALS))
def test_landlock(name: str, problems: Mapping[str, str]) -> None:
    assert problems[name] == ""
