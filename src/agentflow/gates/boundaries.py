"""The boundaries gate: did every commit stay within the task's paths and within policy?"""

from agentflow.frozen import record
from agentflow.globs import as_written
from agentflow.records import Boundaries
from agentflow.results import Candidate, Evidence


@record
class BoundariesGate:
    """Reports what the import found: it walked every commit, and imports nothing that violates."""

    boundaries: Boundaries
    name: str = "boundaries"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail with every violation, named by commit and path."""
        found = candidate.violations
        if found:
            noun = "violation" if len(found) == 1 else "violations"
            advice = (
                "Every commit counts: a later one that reverts the change does not help. Rebuild "
                + f"your commits without it: git reset --soft {candidate.base[:12]}, undo it in "
                + "index and files, commit again."
            )
            return Evidence(
                self.name,
                "failed",
                f"{len(found)} {noun}",
                "\n".join((*found, advice)),
                faults=candidate.faults,
            )
        globs = ", ".join(map(as_written, self.boundaries.allow)) or "all but protected paths"
        return Evidence(self.name, "passed", f"every commit stays within {globs}")
