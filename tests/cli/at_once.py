"""Many commands in a repository, each a fork of one process: half a second for all, not for each."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.cli.shell import Shell

ROOT = Path(__file__).parents[2]


def at_once(shell: Shell, cases: Sequence[tuple[str, str, str]]) -> list[tuple[int, str]]:
    """Run commands, given as a line with the places of their two streams (see `forked`); return what
    each ended with, and what it said."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.cli.forked"],
        input=json.dumps([(line.split(), output, talk) for line, output, talk in cases]),
        cwd=shell.project.root,
        env={**shell.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [(code, said) for code, said in json.loads(process.stdout)]
