"""The commit gate: is there a real change, and did the one who should commit it do so?"""

from dataclasses import dataclass

from agentflow.records import Candidate, Commits, Evidence, Expectation


@dataclass(frozen=True, slots=True)
class CommitGate:
    """Judges commits by what they change, never by what their messages say."""

    expect: Expectation
    commits: Commits
    name: str = "commit"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail without a change, with leftovers, or with a change where none is wanted."""
        if candidate.leftovers:
            paths = "\n".join(candidate.leftovers[:30])
            return Evidence(
                self.name,
                "failed",
                f"{len(candidate.leftovers)} paths are not committed",
                f"Commit these changes, or undo them:\n{paths}",
            )
        changed = bool(candidate.files_changed)
        if self.commits == "none" or self.expect == "no-change":
            return Evidence(
                self.name,
                "failed" if changed or candidate.violations else "passed",
                f"{candidate.files_changed} files changed where none should"
                if changed
                else "nothing changed, as expected",
            )
        if candidate.violations:
            return Evidence(self.name, "passed", "there is a change; see boundaries")
        if not changed:
            empty = f"{len(candidate.commits)} empty commits" if candidate.commits else "no commit"
            return Evidence(
                self.name,
                "failed",
                f"nothing changed ({empty})",
                "The result has the same files as the base. Implement the task; if there is "
                + "nothing to do, say why in .failed.",
            )
        noun = "commit" if len(candidate.commits) == 1 else "commits"
        return Evidence(
            self.name,
            "passed",
            f"{len(candidate.commits)} {noun}, {candidate.files_changed} files "
            + f"(+{candidate.insertions} −{candidate.deletions})",  # noqa: RUF001
        )
