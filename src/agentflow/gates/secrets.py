"""The secrets gate: does any commit add what nobody but its owner may read?"""

import asyncio
import hashlib
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from itertools import accumulate

from agentflow.frozen import record
from agentflow.gates.added import Added, added_lines
from agentflow.gates.runners import is_test
from agentflow.globs import matches
from agentflow.redaction import Redact, value_redactor
from agentflow.results import Candidate, Evidence, Fault
from agentflow.secret_rules import entropy, findings
from agentflow.words import counted
from agentflow.workspace.git import Git

MAX_FINDINGS = 100
"""Distinct ones that count; what follows is not looked at any more."""
LISTED = 20
MIN_VALUE = 8
"""Characters of a configured value that is searched for: `test` or `root` stand in any code."""
MIN_LINE = 24
"""The same for one line of a value of several, as a service account's JSON has them."""
LENIENT: tuple[str, ...] = (
    "**/*.{md,mdx,rst,adoc}", "**/fixtures/**", "**/testdata/**", "**/__mocks__/**",
    "**/examples/**", "**/*.{example,sample,template}", "**/.env.{example,sample,template}",
)  # fmt: skip
"""Where, as in tests, what only looks like a secret is a notice."""


@record
class Finding:
    """A secret and where it stands; never its value."""

    path: str
    line: int
    rule: str
    fingerprint: str
    certain: bool

    def shown(self) -> str:
        """Place, rule and fingerprint."""
        return f"{self.path}:{self.line}: {self.rule} (fingerprint {self.fingerprint})"


@record
class SecretsGate:
    """Reads the added lines and the messages of every commit: what was taken out again by a later
    one would stay in the history."""

    state: Git
    allowed: Collection[str]
    """Fingerprints of what is no secret."""
    values: Collection[str] = ()
    """Secret values of the user's environment."""
    name: str = "secrets"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail naming each secret by place, rule and fingerprint."""
        return await asyncio.to_thread(self._measure, candidate)

    def _measure(self, candidate: Candidate) -> Evidence:
        found = self._distinct(self._findings(candidate))
        open_ = [each for each in found if each.fingerprint not in self.allowed]
        secrets = [each for each in open_ if each.certain]
        notices = tuple(each.shown() for each in open_ if not each.certain)
        if len(notices) > LISTED:
            notices = (*notices[:LISTED], f"and {len(notices) - LISTED} more")
        if secrets:
            changed = {c.path for commit in candidate.commits for c in commit.changes}
            listed = [each.shown() for each in secrets[:LISTED]]
            more = [f"and {len(secrets) - LISTED} more"] if len(secrets) > LISTED else []
            first = f"{secrets[0].path}:{secrets[0].line}: {secrets[0].rule}"
            return Evidence(
                self.name,
                "failed",
                first if len(secrets) == 1 else f"{counted(len(secrets), 'secret')}: {first}, …",
                "\n".join((*listed, *more, _advice(candidate.base))),
                notices=notices,
                faults=tuple(
                    Fault(each.shown(), each.path, each.line)
                    for each in secrets[:LISTED]
                    if each.path in changed
                ),
            )
        allowed = len(found) - len(open_)
        summary = "no secret was added" + (f" ({allowed} allowed)" if allowed else "")
        return Evidence(self.name, "passed", summary, notices=notices)

    def _distinct(self, found: Iterable[Finding]) -> list[Finding]:
        """The first finding of each path and fingerprint: at most `MAX_FINDINGS` that count, and as
        many that do not. The latter end no search, or they could hide what follows them."""
        counting: dict[tuple[str, str], Finding] = {}
        others: dict[tuple[str, str], Finding] = {}
        for each in found:
            counts = each.certain and each.fingerprint not in self.allowed
            kept = counting if counts else others
            if len(kept) < MAX_FINDINGS:
                kept.setdefault((each.path, each.fingerprint), each)
            if len(counting) >= MAX_FINDINGS:
                break
        return [*counting.values(), *others.values()]

    def _findings(self, candidate: Candidate) -> Iterator[Finding]:
        redact = value_redactor(_searchable(self.values))
        changes = [change for commit in candidate.commits for change in commit.changes]
        for added in added_lines(self.state, candidate.base, changes):
            yield from _in_lines(added, redact)
        for commit in candidate.commits:
            lines = tuple(enumerate(commit.message.splitlines(), 1))
            yield from _in_lines(Added(f"the message of {commit.sha[:12]}", lines), redact)


def fingerprint(rule: str, value: str) -> str:
    """What `[secrets] allow` names instead of a value: 16 hexadecimal digits."""
    return hashlib.sha256(f"{rule}\0{value}".encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _in_lines(added: Added, redact: Redact) -> Iterator[Finding]:
    texts = [text for _, text in added.lines]
    text = "\n".join(texts)
    starts = [0, *accumulate(len(each) + 1 for each in texts)]
    lenient = is_test(added.path) or any(matches(glob, added.path) for glob in LENIENT)
    for rule, start, value in findings(text):
        line = added.lines[bisect_right(starts, start) - 1][0]
        certain = rule.certain or not lenient
        yield Finding(added.path, line, rule.name, fingerprint(rule.name, value), certain)
    if redact(text) == text:
        return
    for number, line in added.lines:
        if (redacted := redact(line)) != line:
            # Of the line and not of the value: a short password could be guessed from its hash.
            mark = fingerprint("configured value", f"{added.path}\0{redacted}")
            yield Finding(added.path, number, "configured value", mark, certain=True)


def _searchable(values: Iterable[str]) -> Iterator[str]:
    """The values that cannot stand in a text by chance."""
    for value in values:
        lines = value.strip().splitlines()
        shortest = MIN_VALUE if len(lines) == 1 else MIN_LINE
        yield from (line for line in lines if len(line.strip()) >= shortest and entropy(line) >= 2)


def _advice(base: str) -> str:
    return (
        "Read secrets from the environment. Every commit counts: if an earlier one holds it, "
        f"rebuild your commits without it: git reset --soft {base[:12]}, take it out, commit "
        "again. If it is no secret, a person can add the fingerprint to `allow` under `[secrets]` "
        "in .orchestrator/config.toml."
    )
