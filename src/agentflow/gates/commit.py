"""The commit gate: is there a real change, and did the one who should commit it do so?"""

from collections.abc import Sequence

from agentflow.frozen import record
from agentflow.records import Commits, Expectation
from agentflow.results import Candidate, Evidence
from agentflow.words import counted

LISTED = 30
"""Paths that are listed one by one."""


@record
class CommitGate:
    """Judges commits by what they change, never by what their messages say."""

    expect: Expectation
    commits: Commits
    name: str = "commit"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail without a change, with leftovers, or with a change where none is wanted."""
        if self.commits == "none" or self.expect == "no-change":
            return self._measure_nothing(candidate)
        if candidate.violations:
            return Evidence(self.name, "skipped", "nothing could be imported; see boundaries")
        if candidate.leftovers:
            return Evidence(
                self.name,
                "failed",
                f"{counted(len(candidate.leftovers), 'path')} not committed",
                "Commit these changes, or undo them:\n" + _listed(candidate.leftovers),
            )
        if not candidate.files_changed:
            empty = counted(len(candidate.commits), "empty commit") if candidate.commits else ""
            return Evidence(
                self.name,
                "failed",
                f"nothing changed ({empty or 'no commit'})",
                "The result has the same files as the base. Implement the task; if there is "
                + "nothing to do, say why in .failed.",
            )
        return Evidence(
            self.name,
            "passed",
            f"{counted(len(candidate.commits), 'commit')}, "
            + f"{counted(candidate.files_changed, 'file')} "
            + f"(+{candidate.insertions} −{candidate.deletions})",  # noqa: RUF001
        )

    def _measure_nothing(self, candidate: Candidate) -> Evidence:
        """Pass only if there is nothing at all that could land."""
        paths = {c.path for commit in candidate.commits for c in commit.changes}
        paths.update(candidate.leftovers)
        if not (paths or candidate.commits or candidate.violations):
            return Evidence(self.name, "passed", "nothing changed, as expected")
        what = counted(len(paths), "path") if paths else "history"
        return Evidence(
            self.name,
            "failed",
            f"{what} changed where nothing should",
            f"Undo all changes, and all commits: git reset --hard {candidate.base[:12]}\n"
            + _listed(sorted(paths)),
        )


def _listed(paths: Sequence[str]) -> str:
    more = [f"and {len(paths) - LISTED} more"] if len(paths) > LISTED else []
    return "\n".join((*paths[:LISTED], *more))
