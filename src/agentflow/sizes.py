"""Sizes as people write them: `4GiB`, `500 MB`, `1048576`."""

import re

from agentflow.errors import UsageError

_UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([kmgt]?i?b|)")


def parse_size(text: str, *, where: str) -> int:
    """Return bytes; a bare number is bytes. Raises `UsageError` naming `where`."""
    found = _SIZE.fullmatch(text.strip().lower())
    if found is None or found[2] not in _UNITS:
        raise UsageError(f"{where}: {text[:40]!r} is not a size like 4GiB, 500MB or 1048576")
    return int(float(found[1]) * _UNITS[found[2]])


def write_size(size: int) -> str:
    """Return `4GiB`, `20MB` or `1048577`: what `parse_size` reads as the same, in few digits."""
    written = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    forms = [f"{size // of}{unit}" for unit, of in written.items() if size >= of and size % of == 0]
    return min([str(size), *forms], key=lambda form: sum(map(str.isdigit, form)))
