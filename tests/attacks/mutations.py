"""Drop each protection of the product in turn, and see which attacks then succeed.

`scripts/attack-mutations [WORD…]` works on a copy of the source, tree by tree, prints a Markdown
table and ends with 1 if a protection has no red case, or an edit no longer fits the source.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.attacks.attacker import attacker
from tests.attacks.index import CASES
from tests.attacks.mutation import Mutation
from tests.attacks.protections import MUTATIONS
from tests.attacks.surroundings import PROJECT


def main(words: list[str]) -> int:
    """Try the mutations whose protection holds one of the words, all without; print the table."""
    print("| dropped | red |\n|---|---|", flush=True)  # noqa: T201  (what the script is for)
    bare = False
    for mutation in MUTATIONS:
        if words and not any(word in mutation.protection for word in words):
            continue
        red = tried(mutation)
        bare = bare or not red
        print(f"| {mutation.protection} | {', '.join(red) or '**none**'} |", flush=True)  # noqa: T201
    return int(bare)


def tried(mutation: Mutation) -> list[str]:
    """The cases that fail without the protection."""
    with tempfile.TemporaryDirectory(prefix="agentflow-mutation-", dir="/var/tmp") as name:
        project = Path(name)
        project.chmod(0o755)
        for part in ("src", "tests", "prompts"):
            shutil.copytree(PROJECT / part, project / part)
        shutil.copy(PROJECT / "pyproject.toml", project)
        for edit in mutation.edits:
            file = project / "src/agentflow" / edit.file
            text = file.read_text("utf-8")
            if text.count(edit.old) != 1:
                sys.exit(f"{mutation.protection}: {edit.file} does not hold {edit.old!r} once")
            file.write_text(text.replace(edit.old, edit.new), "utf-8")
        red = _failed(project, mutation.tests) if mutation.tests else []
        known = [case for case in mutation.cases if case in CASES]
        if not known:
            return red
        with attacker(project, lenient=True) as child:
            return [case for case in known if child.attack(case)] + red


def _failed(project: Path, arguments: tuple[str, ...]) -> list[str]:
    """The tests that fail, as the suite's own fixtures run them."""
    options = ("-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{project}/src:{project}", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode not in {0, 1}:
        sys.exit(f"pytest {' '.join(arguments)} ended with {ended.returncode}:\n{ended.stdout}")
    return [f"`{name}`" for name in re.findall(r"^FAILED \S+::(\S+)", ended.stdout, re.MULTILINE)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
