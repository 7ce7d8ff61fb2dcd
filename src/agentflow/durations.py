"""Durations as people write them: `45m`, `90s`, `1h30m`, `600`."""

import re

from agentflow.errors import UsageError

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_PARTS = re.compile(r"(\d+(?:\.\d+)?)([dhms])")


def parse_duration(text: str, *, where: str) -> float:
    """Return seconds; a bare number is seconds. Raises `UsageError` naming `where`."""
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(rf"(?:{_PARTS.pattern})+", text):
        raise UsageError(f"{where}: {text!r} is not a duration like 45m, 90s or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(text))


def format_duration(seconds: float) -> str:
    """Return `4 ms`, `8.4 s`, `3 min 20 s` or `1 h 05 min`."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
