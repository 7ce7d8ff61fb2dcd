"""Where templates become HTML: everything that is printed is made visible first and escaped then."""

from functools import cache
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agentflow.durations import format_duration
from agentflow.neutral import one_line, visible
from agentflow.words import counted

TEMPLATES = Path(__file__).with_name("templates")


@cache
def asset(name: str) -> str:
    """A file of ours that pages need as it is."""
    return (TEMPLATES / name).read_text("utf-8")


@cache
def environment() -> Environment:
    """The environment of all pages."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        keep_trailing_newline=True,
    )
    cast("dict[str, Any]", made.filters).update({
        "number": "{:,}".format,
        "duration": format_duration,
        "counted": counted,
        "line": one_line,
        "short": _short,
        "dollars": dollars,
    })
    return made


def dollars(cost: float | None) -> str:
    """An amount in words; an unknown price is no zero."""
    return "unknown" if cost is None else f"${cost:.4f}"


def _finalized(value: Any) -> Any:
    return visible(value) if type(value) is str else value


def _short(number: float) -> str:
    """`950`, `31k`, `1.2M`."""
    if number < 1000:
        return f"{number:.0f}"
    return f"{number / 1000:.0f}k" if number < 999_500 else f"{number / 1e6:.1f}M"
