"""Are two failures of a command the same one? Output without what differs from run to run.

Whoever wrote the code under test also writes its output: sameness excuses a failure that was there
before, and never makes anything pass.
"""

import hashlib
import re

from agentflow.transient import without_transients

_REPLACED: tuple[tuple[re.Pattern[str], str], ...] = (
    # how much passed beside it: new tests may pass
    (re.compile(r"\b\d+ (passed|passing)\b(?: \(\d+\))?"), r"\1"),
    (re.compile(r", \d+ total\b"), ", total"),
    (re.compile(r"\b(collected|Ran|Tests run:|running) \d+\b"), r"\1"),
    (re.compile(r"\[ *\d+%\]"), ""),
    (re.compile(r"([=_*-])\1{2,}"), r"\1\1\1"),
)
_PASSING = re.compile(
    r"(?:PASS|ok|--- PASS:|=== (?:RUN|PAUSE|CONT))\b.*|[✓✔√].*|.*(?:\.\.\. ok|\bPASSED)|"
)
"""Whole lines that say that something passed or goes on, and empty ones."""
_PROGRESS = re.compile(r"(\S+\.py )?([.sxXFE]+)")
"""A line of pytest or unittest: one character for each test."""


def fingerprint(reason: str, output: str) -> str:
    """Return a name of a failure: of how the command ended, and of the lines that it said.

    Times, durations, addresses, temporary paths, colours and everything about tests that passed
    are left out; the order of lines does not count, because runners work in parallel.
    """
    text = without_transients(output.replace("\r\n", "\n"))
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    # of a line that was overwritten, only what stood there last
    lines = (" ".join(line.rpartition("\r")[2].split()) for line in text.split("\n"))
    kept = sorted(told for line in lines if (told := _failing(line)))
    said = "\n".join((reason, *kept))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def _failing(line: str) -> str:
    """What a line tells about failures."""
    if _PASSING.fullmatch(line):
        return ""
    progress = _PROGRESS.fullmatch(line)
    if progress is None or not (progress[1] or "." in progress[2]):
        return line
    marks = "".join(mark for mark in progress[2] if mark in "FE")
    return f"{progress[1] or ''}{marks}" if marks else ""
