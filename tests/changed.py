"""Values with one part wrong, as whoever writes a file by hand can make them."""

from typing import Any, cast


def changed(value: Any, wrong: Any) -> list[Any]:
    """The value with each of its parts, at any depth, replaced in turn."""
    parts = cast(Any, value.items() if isinstance(value, dict) else enumerate(value))
    found: list[Any] = [wrong]
    for name, part in parts:
        for each in changed(part, wrong) if isinstance(part, dict | list) else [wrong]:
            copy = cast(Any, value.copy())
            copy[name] = each
            found.append(copy)
    return found
