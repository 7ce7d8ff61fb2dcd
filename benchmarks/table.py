"""The table that a benchmark prints: samples, their medians, ratios and bounds."""

import os
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: samples in the unit that is printed."""

    name: str
    bare: Sequence[float]
    ours: Sequence[float]
    digits: int = 0
    most: float | None = None
    """The greatest median that is allowed."""
    ratio: float | None = None
    """The greatest ratio of the medians that is allowed."""

    @property
    def measured_ratio(self) -> float:
        return statistics.median(self.ours) / statistics.median(self.bare) if self.bare else 0.0

    @property
    def holds(self) -> bool:
        within = self.most is None or statistics.median(self.ours) < self.most
        return within and (self.ratio is None or self.measured_ratio <= self.ratio)

    def line(self) -> str:
        """One row of Markdown."""
        bounds = [f"ratio ≤ {self.ratio}"] if self.ratio else []
        bounds += [f"< {self.most:g}"] if self.most else []
        verdict = ("holds" if self.holds else "BROKEN") if bounds else ""
        ratio = f"{self.measured_ratio:.2f}" if self.bare else ""
        cells = (self.name, self._cell(self.bare), self._cell(self.ours), ratio)
        return f"| {' | '.join(cells)} | {', '.join(bounds)} | {verdict} |"

    def _cell(self, values: Sequence[float]) -> str:
        if not values:
            return ""
        digits = self.digits
        middle = statistics.median(values)
        return f"{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Noise:
    """What others did with the processors meanwhile."""

    at: float
    busy: float

    @classmethod
    def now(cls) -> Self:
        """Processor seconds that all others have used so far."""
        fields = Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:9]
        user, nice, system, _idle, _wait, irq, soft, steal = map(int, fields)
        whole = (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")
        who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        own = sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))
        return cls(time.monotonic(), whole - own)

    def share_since(self, earlier: Self) -> float:
        """Of one processor, on average."""
        return (self.busy - earlier.busy) / (self.at - earlier.at)
