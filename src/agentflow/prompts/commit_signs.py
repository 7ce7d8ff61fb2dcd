"""What texts say about who commits, told by signs, and where that is not what the profile says."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from agentflow.frozen import record
from agentflow.records import Commits

Who = Literal["agent", "other"]

MAX_STATEMENTS = 50
"""Statements that are taken from one text."""
_MAX_LINE = 2_000

_LEADER = r"(?:team[- ]?lead(?:er)?|tech[- ]?lead|leader|orchestrator|supervisor|coordinator)"
_NOT = r"(?:\b(?:not|never|without)|n['\u2019]t)\s+"
_END = r"[`*_\s]*(?:$|[.,;:!)(|/\u2013\u2014-])"
_WORK = r"(?:(?:your|the|any|these|those|all|own)\s+)*(?:changes|work|code|results?|files)"

NEGATED = rf"{_NOT}(?:\w+\s+){{0,5}}?`?(?:git\s+)?commit(?:s|ting)?\b`?(?P<rest>.{{0,60}})"
"""What follows tells an order, `do not commit.`, from a rule: `never commit secrets`."""
_WHOLE = (
    rf"{_END}|\s+(?:anything|yourself|on your own|or\s+push|and\s+push)\b"
    + rf"|\s+{_WORK}(?:{_END}|\s+(?:yourself|on your own)\b)"
)
_RULE = r"\.env\b|gitignore|secret|credential|password|token"


@record
class CommitSign:
    """One row of the table: an expression searched in each line without regard to case."""

    example: str
    says: Who
    expression: str


SIGNS: tuple[CommitSign, ...] = (
    CommitSign(
        "YOU DO NOT HANDLE GIT",
        "other",
        rf"{_NOT}(?:\w+\s+)?(?:handle|touch|run|use|perform)\s+(?:any\s+)?git\b"
        + rf"(?:\s+(?:operations|commands?|at all)\b|{_END})",
    ),
    CommitSign(
        "the team-leader commits",
        "other",
        rf"\b{_LEADER}\W+(?:(?:will|then|alone|only|always|itself)\W+)*"
        + r"(?:commits?\b|(?:handles?|owns?)\s+(?:all\s+)?git\b"
        + r"|is\s+(?:solely\s+)?responsible\s+for\s+(?:all\s+)?git\b)",
    ),
    CommitSign(
        "create ONE commit",
        "agent",
        r"\b(?:create|make)\s+(?:exactly\s+)?(?:one|1|a|an|the)\s+(?:(?:single|atomic|git)\s+)*"
        + r"commit\b(?!\s+(?:message|hash|sha|history|log))",
    ),
    CommitSign(
        "one commit per batch",
        "agent",
        r"\b(?:one|1|a\s+single)\s+(?:git\s+)?commit\s+(?:per|for|at\s+the\s+end)\b",
    ),
    CommitSign(
        "commit your work",
        "agent",
        r"(?:^|[-*.;:,(>|]|\b(?:then|and|must|should|always|to|you|please)\s)\s*[*_`]*"
        + rf"commit[*_`]*\s+{_WORK}\b",
    ),
    CommitSign("git commit -m", "agent", r"\bgit\s+commit\s+(?:-\w*m\b|--message\b|-F\b|--file\b)"),
)
"""The signs, compiled when a text first speaks of commits: few do. A line's negations of committing are taken out before those that say `agent`."""


@record
class Statement:
    """A line of a prompt or persona that says who commits."""

    where: Path
    """The file."""
    line: int
    """Of the file, from 1."""
    says: Who


def commit_statements(body: str, where: Path, above: int) -> tuple[Statement, ...]:
    """All lines of a body, in fences too, that say who commits: each says one or both.

    `above` is how many lines of the file precede the body.
    """
    found: list[Statement] = []
    for number, line in enumerate(body.split("\n"), above + 1):
        if "commit" in line.lower() or "git" in line.lower():
            found += [Statement(where, number, says) for says in _said(line[:_MAX_LINE].rstrip())]
        if len(found) >= MAX_STATEMENTS:
            break
    return tuple(found)


def _said(line: str) -> Iterator[Who]:
    negations = list(re.finditer(NEGATED, line, re.IGNORECASE))
    whole = not re.search(_RULE, line, re.IGNORECASE) and any(
        re.match(_WHOLE, each["rest"], re.IGNORECASE) for each in negations
    )
    rest = line
    for each in reversed(negations):
        rest = rest[: each.start()] + rest[each.start("rest") :]
    said = {sign.says for sign in SIGNS if re.search(sign.expression, rest, re.IGNORECASE)}
    if whole or "other" in said:
        yield "other"
    if "agent" in said:
        yield "agent"


def disagreement(texts: Iterable[tuple[str, Path, int]], commits: Commits) -> tuple[Statement, ...]:
    """Of each text the first statement of each kind, if any is not what the profile says.

    A text is a body, its file's path, and how many lines of the file precede it. Empty where
    nothing is said, or all agree with the profile.
    """
    statements = (each for text in texts for each in commit_statements(*text))
    meant: Who = "agent" if commits == "agent" else "other"
    first: dict[tuple[Path, Who], Statement] = {}
    for each in statements:
        first.setdefault((each.where, each.says), each)
    return tuple(first.values()) if any(each.says != meant for each in first.values()) else ()


DECIDED: dict[Commits, str] = {
    "agent": "the agent commits",
    "orchestrator": "agentflow commits",
    "none": "nobody commits",
}
"""What a profile decides, in words."""
_SAYS: dict[Who, str] = {"agent": "the agent commits", "other": "the agent does not commit"}


def disagreement_told(found: Iterable[Statement], commits: Commits) -> str:
    """A disagreement in words: who says what, and what holds."""
    said = ", ".join(f"{each.where}:{each.line} says that {_SAYS[each.says]}" for each in found)
    return f"it is not clear who commits: {said}; the profile decides: {DECIDED[commits]}"
