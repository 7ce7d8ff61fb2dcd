"""The process that renders one hostile template: limits first, then JSON in, JSON out.

Run as a script, `python -I template_child.py`; imports nothing of agentflow. Standard input is
`{"template": …, "context": …, "limit": …}`, standard output `{"text": …}` or `{"error": …}`.
"""

import json
import resource
import sys
from collections.abc import Iterable

MEMORY = 512 << 20
"""Bytes of address space."""
SECONDS = 2
"""Of processor time."""
OUTPUT = 8 << 20
"""Bytes of any file that it writes, its standard output included."""


def limit() -> None:
    """Take away what a template could use up. Nothing can be given back afterwards."""
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, OUTPUT),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def rendered(template: str, context: dict[str, object], most: int) -> str:
    """The template's text; raises whatever the template does, `OverflowError` if it is longer."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    environment.filters["listed"] = listed
    parts: list[str] = []
    length = 0
    for part in environment.from_string(template).generate(context):
        length += len(part)
        if length > most:
            raise OverflowError(f"it renders to more than {most} characters")
        parts.append(part)
    return "".join(parts)


def listed(names: Iterable[str], sign: str = "") -> str:
    """Names between commas, each as a code span."""
    return ", ".join(f"`{sign}{name}`" for name in names)


def main() -> None:
    """Render once, and say how it went."""
    asked = json.load(sys.stdin)
    import jinja2.sandbox  # noqa: F401  # pyright: ignore[reportUnusedImport] - before the limits

    limit()
    try:
        answer = {"text": rendered(asked["template"], asked["context"], asked["limit"])}
    except MemoryError:
        answer = {"error": "it needs too much memory"}
    except RecursionError:
        answer = {"error": "it is nested too deeply"}
    except Exception as error:  # noqa: BLE001 - a template may raise anything
        line = getattr(error, "lineno", None)
        place = f"line {line}: " if isinstance(line, int) else ""
        answer = {"error": f"{place}{type(error).__name__}: {error}"[:500]}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
