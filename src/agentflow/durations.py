"""Durations as people write them: `45m`, `90s`, `1h30m`, `600`."""

import math
import re

from agentflow.errors import UsageError

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_PARTS = re.compile(r"(\d+(?:\.\d+)?)([dhms])")


def parse_duration(text: str, *, where: str) -> float:
    """Return seconds; a bare number is seconds. Raises `UsageError` naming `where`."""
    plain = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", plain):
        plain += "s"
    parts = _PARTS.findall(plain) if re.fullmatch(rf"(?:{_PARTS.pattern})+", plain) else []
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not parts or not math.isfinite(seconds):
        raise UsageError(
            f"{where}: {text[:40]!r} is not a duration like 45m, 90s or 1h30m",
            hint="Units are d, h, m and s; a number alone is seconds.",
        )
    return seconds


def write_duration(seconds: float) -> str:
    """Return `45m`, `1h30m` or `0.5s`: what `parse_duration` reads as the same, to the
    microsecond."""
    rest, written = seconds, ""
    for unit, size in _UNITS.items():
        whole = int(rest // size) if unit != "s" else 0
        written += f"{whole}{unit}" if whole else ""
        rest -= whole * size
    number = f"{rest:.6f}".rstrip("0").rstrip(".")
    return f"{written}{number}s" if rest or not written else written


def format_duration(seconds: float) -> str:
    """Return `4 ms`, `8.4 s`, `3 min 20 s` or `1 h 05 min`."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
