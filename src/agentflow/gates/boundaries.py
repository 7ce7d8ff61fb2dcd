"""The boundaries gate: did every commit stay within the task's paths and within policy?"""

from dataclasses import dataclass

from agentflow.records import Boundaries, Candidate, Evidence


@dataclass(frozen=True, slots=True)
class BoundariesGate:
    """Reports what the import found: it walked every commit, and imports nothing that violates."""

    boundaries: Boundaries
    name: str = "boundaries"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail with every violation, named by commit and path."""
        if candidate.violations:
            return Evidence(
                self.name,
                "failed",
                f"{len(candidate.violations)} violations",
                "\n".join(candidate.violations)
                + "\nEvery commit counts: a later commit that reverts the change does not help. "
                + "Undo it by rebuilding your commits without it (git reset --soft to the base).",
            )
        globs = ", ".join(self.boundaries.allow) or "all but protected paths"
        return Evidence(self.name, "passed", f"every commit stays within {globs}")
