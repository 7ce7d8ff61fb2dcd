"""The commands of a page of the documentation, as steps of one shell.

Every fenced block of the language `console` is run: `$ ` begins a command, a line that ends with a
backslash goes on, and what stands below is its output. A page that shows no output of a command is
held to its exit code alone. Comments above a block say more; they are not shown where the page is read:

    <!-- not run: it needs a key -->   the block is not run, for this reason
    <!-- exit: 3 -->                   the code of the block's last command, instead of 0
    <!-- stays: WHY -->                the block's last command does not end: the next ones wait until it has said
                                       as many lines as the page shows (or one), and it ends with the page
    <!-- file: PATH -->                the block, of any language, is a file that the reader writes
    <!-- prepare: COMMAND… -->         run at this place, not shown; several lines are several commands

Of an output, `...` stands for anything in a line, and alone in a line for any lines; times, sizes of conversations, costs,
names of runs and commits are compared as kinds, not by their values.
"""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

_COMMENT = re.compile(r"<!--\s*(not run|exit|stays|file|prepare):\s*(.*?)\s*-->", re.DOTALL)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TIMEOUT = 200.0
"""Seconds for a whole page."""
_CUT = "\x1e"

_KINDS = (
    (re.compile(r"-20\d{6}T\d{6}-[0-9a-f]{4}"), "-<run>"),
    (re.compile(r"20\d\d-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{40}\b|\b[0-9a-f]{12}\b|\b[0-9a-f]{7}\b"), "<commit>"),
    (re.compile(r"[\d,]+ → [\d,]+ tokens(?: · \$[\d.]+)?"), "<tokens>"),
    (re.compile(r"[\d,]+ tokens · \$[\d.]+"), "<tokens>"),
    (re.compile(r"\$\d+\.\d+"), "<cost>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<place>"),
    (re.compile(r"(token=|Bearer )\S+"), "<token>"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:ms|s|min)\b"), "<duration>"),
)


@dataclass(frozen=True)
class Step:
    """One thing that a reader does."""

    line: int
    """Of the page, from 1."""
    command: str
    expected: str = ""
    """Output, empty if the page shows none."""
    code: int = 0
    stays: bool = False
    """Whether the command goes on while the next ones are run."""

    @property
    def script(self) -> str:
        """What runs it in the page's shell and leaves its code in `code`."""
        if not self.stays:
            return f"{{\n{self.command}\n}} </dev/null 2>&1\ncode=$?\n"
        lines = max(1, len(self.expected.splitlines()))
        return (
            f"said=$(mktemp)\n{{\n{self.command}\n}} </dev/null >$said 2>&1 &\n"
            f'for _ in $(seq 600); do [ "$(wc -l <$said)" -lt {lines} ] && kill -0 $! || break; sleep 0.1; done\n'
            "kill -0 $!\ncode=$?\ncat $said\n"
        )


@dataclass(frozen=True)
class Left:
    """A block that is not run."""

    line: int
    reason: str


def read_page(text: str) -> list[Step | Left]:
    """What a page asks its reader to do, in its order. Raises `ValueError` for a comment without a block."""
    found: list[Step | Left] = []
    said: dict[str, str] = {}
    for line, kind, value, language in _parts(text):
        if kind == "prepare":
            found.append(Step(line, " && ".join(value.splitlines())))
        elif kind != "block":
            said[kind] = value
        elif "file" in said:
            found.append(Step(line, _written(said.pop("file"), value)))
        elif language == "console":
            found += _block(line, value, said)
            said = {}
        elif said:
            raise ValueError(f"line {line}: no block of commands, but {said}")
    if said:
        raise ValueError(f"a comment at the end without a block: {said}")
    return found


def _parts(text: str) -> Iterator[tuple[int, str, str, str]]:
    """Comments and blocks: line, kind, content, language."""
    fences = list(_FENCE.finditer(text))
    inside = [(each.start(), each.end()) for each in fences]
    marks = [
        (each.start(), each[1], each[2], "")
        for each in _COMMENT.finditer(text)
        if not any(start < each.start() < end for start, end in inside)
    ]
    blocks = [(each.start(), "block", each[2], each[1]) for each in fences]
    for place, kind, value, language in sorted(marks + blocks):
        yield text.count("\n", 0, place) + 1, kind, value, language


def _block(line: int, content: str, said: Mapping[str, str]) -> list[Step | Left]:
    if "not run" in said:
        return [Left(line, said["not run"])]
    commands: list[tuple[int, list[str], list[str]]] = []
    for number, each in enumerate(content.splitlines(), line + 1):
        if each.startswith("$ "):
            commands.append((number, [each[2:]], []))
        elif not commands:
            raise ValueError(f"line {number}: output before a command")
        elif commands[-1][1][-1].endswith("\\") and not commands[-1][2]:
            commands[-1][1].append(each)
        else:
            commands[-1][2].append(each)
    codes = [0] * (len(commands) - 1) + [int(said.get("exit", 0))]
    found = [
        Step(number, "\n".join(words), "\n".join(output), code)
        for (number, words, output), code in zip(commands, codes, strict=True)
    ]
    return [*found[:-1], replace(found[-1], stays="stays" in said)]


def _written(path: str, content: str) -> str:
    """The command that writes a file."""
    return f"mkdir -p \"$(dirname {path})\" && cat >{path} <<'END_OF_FILE'\n{content}END_OF_FILE"


def run_steps(
    steps: list[Step], place: Path, environment: Mapping[str, str]
) -> Iterator[tuple[Step, str, int]]:
    """Run steps in one shell that starts in a place; each with its output and code, until one differs."""
    script = "".join(
        f"printf '{_CUT}%s\\n' begin\n{step.script}"
        f"printf '{_CUT}%s\\n' $code\n[ $code = {step.code} ] || exit 0\n"
        for step in steps
    )
    with tempfile.TemporaryFile() as output:
        shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-c", script],
            cwd=place, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            shell.wait(_TIMEOUT)
        finally:
            with suppress(ProcessLookupError):  # what a page left in the background ends with it
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
        output.seek(0)
        parts = output.read().decode("utf-8", "replace").split(_CUT)[1:]
    for step, said, ended in zip(steps, parts[::2], parts[1::2], strict=False):
        yield step, said.removeprefix("begin\n"), int(ended.split("\n")[0])


def fits(expected: str, output: str) -> bool:
    """Whether an output is what the page shows."""
    lines = (
        "(?:[^\n]*\n)*" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + "\n"
        for line in _of_its_kind(expected).splitlines()
    )
    return re.fullmatch("".join(lines), f"{_of_its_kind(output)}\n") is not None


def _of_its_kind(text: str) -> str:
    for found, kind in _KINDS:
        text = found.sub(kind, text)
    lines = (re.sub(r" +", " ", line.rstrip()) for line in text.strip("\n").splitlines())
    return "\n".join(lines).strip()
