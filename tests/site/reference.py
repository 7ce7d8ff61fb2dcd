"""The reference pages of the documentation, made from the code: `scripts/reference` writes them.

Each page is a function without arguments that returns Markdown; `PAGES` names their files.
"""

import html
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import typer.main
from pydantic import BaseModel, BeforeValidator, TypeAdapter
from pydantic.fields import FieldInfo
from typer.core import TyperCommand, TyperGroup

import agentflow.judges
from agentflow import errors
from agentflow.cli import COMMANDS, EXIT_CODES, application
from agentflow.configuration import RULES, Settings
from agentflow.events import EVENTS
from agentflow.gates import DECISIVE
from agentflow.setting_types import as_bytes, as_seconds
from agentflow.tally import WORST
from tests.site.attribute_docs import field_docs, field_types

FOLDER = Path(__file__).parents[2] / "docs/reference"
MADE = "<!-- Made from the code by scripts/reference: do not edit. -->"


def commands() -> str:
    """Every command with its arguments and options."""
    whole = typer.main.get_command(application())
    assert isinstance(whole, TyperGroup)
    lines = [
        "# Commands",
        "",
        MADE,
        "",
        "As `agentflow COMMAND --help` says it. The [exit codes](exit-codes.md) are those of all commands.",
    ]
    for name in COMMANDS:
        first = whole.commands[name]
        assert isinstance(first, TyperCommand | TyperGroup)
        for path, command in _leaves(name, first):
            lines += ["", f"## agentflow {path}", "", *_command(path, command)]
    return "\n".join(lines) + "\n"


def _leaves(path: str, command: TyperCommand | TyperGroup) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperCommand):
        yield path, command
        return
    for name, each in command.commands.items():
        assert isinstance(each, TyperCommand | TyperGroup)
        yield from _leaves(f"{path} {name}", each)


def _command(path: str, command: TyperCommand) -> Iterator[str]:
    context = command.context_class(command, info_name=f"agentflow {path}")
    words = " ".join(command.collect_usage_pieces(context))
    yield f"`agentflow {path} {words}`"
    yield ""
    yield _prose(inspect.cleandoc(command.help or ""))
    records = [each.get_help_record(context) for each in command.params]
    rows = [(f"`{names}`", _prose(told)) for names, told in filter(None, records)]
    if rows:
        yield ""
        yield from _table(("argument or option", ""), rows)


def settings() -> str:
    """Every key of a configuration file."""
    lines = [
        "# Configuration keys",
        "",
        MADE,
        "",
        "What each rule means, and which source wins: [configuration](../configuration.md). A key that is"
        " neither list nor table can also be said as `AGENTFLOW_<KEY>`.",
        "",
    ]
    docs = field_docs(Settings)
    tables: list[tuple[str, type[BaseModel]]] = []
    rows: list[tuple[str, ...]] = []
    for name, field in Settings.model_fields.items():
        inner = _table_of(field)
        if inner is not None:
            tables.append((name, inner))
        said = docs.get(name) or (inspect.getdoc(inner) or "" if inner else "")
        rows.append((f"`{name}`", _kind(field), _default(field), RULES[name], _prose(said)))
    lines += _table(("key", "type", "default", "a repository may", ""), rows)
    for name, inner in tables:
        lines += _settings_table(name, inner)
    return "\n".join(lines) + "\n"


def _settings_table(path: str, kind: type[BaseModel]) -> Iterator[str]:
    yield from ("", f"## `{path}`", "", _prose(inspect.getdoc(kind) or ""), "")
    docs = {name: text for base in reversed(kind.__mro__[:2]) for name, text in _own_docs(base)}
    rows: list[tuple[str, ...]] = []
    inner: list[tuple[str, type[BaseModel]]] = []
    for name, field in kind.model_fields.items():
        table = _table_of(field)
        if table is not None:
            inner.append((f"{path}.{name}", table))
        rows.append((f"`{name}`", _kind(field), _default(field), _prose(docs.get(name, ""))))
    yield from _table(("key", "type", "default", ""), rows)
    for name, table in inner:
        yield from _settings_table(name, table)


def _own_docs(kind: type) -> Iterable[tuple[str, str]]:
    return field_docs(kind).items() if kind.__module__.startswith("agentflow.") else ()


def _table_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a table, or a list or table of such."""
    candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
    found = [each for each in candidates if inspect.isclass(each) and issubclass(each, BaseModel)]
    return found[0] if len(found) == 1 else None


def _kind(field: FieldInfo) -> str:
    """What a value is, in the words of TOML where it has any."""
    before = [each.func for each in _metadata(field) if isinstance(each, BeforeValidator)]
    if as_seconds in before:
        return "time, like `90s`"
    if as_bytes in before:
        return "size, like `4GiB`"
    annotation: Any = field.annotation
    schema: dict[str, Any] = TypeAdapter(annotation).json_schema()
    table = _table_of(field) is not None and schema.get("type") != "array"
    return "table" if table else _schema_words(schema)


def _schema_words(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        kinds = [_schema_words(each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if schema["type"] == "array":
        items = {"type": "object", **schema["items"]}
        if "enum" in items or items.get("type") == "array":
            return f"list of {_schema_words(items)}"
        return f"list of {_schema_words(items)}s"
    return "table" if schema["type"] == "object" else str(schema["type"])


def _metadata(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    for argument in getattr(field.annotation, "__args__", ()):
        yield from getattr(argument, "__metadata__", ())


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if field.is_required():
        return "needed"
    if value is None or value in ("", (), {}) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, dict):
        pairs = cast("dict[str, str]", value)
        return ", ".join(f"`{key}`: `{each}`" for key, each in pairs.items())
    values = cast("tuple[object, ...]", value if isinstance(value, tuple) else (value,))
    return ", ".join(f"`{_written(each)}`" for each in values)


def _written(value: object) -> str:
    """As a configuration file has it; seconds and bytes with their unit."""
    if isinstance(value, bool):
        return str(value).lower()
    return _number(value)


def _number(value: object) -> str:
    """A number of seconds or bytes is shorter with its unit."""
    if isinstance(value, float) and value >= 60 and value % 60 == 0:
        return f"{value / 3600:g}h" if value % 3600 == 0 else f"{value / 60:g}m"
    if isinstance(value, int) and value >= 1 << 20 and value % (1 << 20) == 0:
        return f"{value >> 30}GiB" if value % (1 << 30) == 0 else f"{value >> 20}MiB"
    return f"{value:g}" if isinstance(value, float) else str(value)


def events() -> str:
    """Every event, with its fields."""
    lines = [
        "# Events",
        "",
        MADE,
        "",
        "`--output-format stream-json` prints an event a line; the journal of a run"
        " (`.orchestrator/runs/<run>/journal.jsonl`) keeps the durable ones. Fields may be added; none"
        " goes or changes its meaning without a line in the changelog.",
    ]
    for name, kind in EVENTS.items():
        kept = "durable" if kind.durable else "not kept"
        lines += ["", f"## {name}", "", f"{_prose(inspect.getdoc(kind) or '')} ({kept})"]
        docs, types = field_docs(kind), field_types(kind)
        rows = [
            (f"`{field}`", f"`{types[field]}`", _prose(docs.get(field, "")))
            for field in types
            if not types[field].startswith("ClassVar")
        ]
        if rows:
            lines += ["", *_table(("field", "type", ""), rows)]
    return "\n".join(lines) + "\n"


def exit_codes() -> str:
    """Every exit code."""
    lines = [
        "# Exit codes",
        "",
        MADE,
        "",
        "The exit code is the verified outcome. Of several tasks the worst counts, in the order"
        f" {_worst_first()}, 0.",
        "",
        "2 is what you change on the command line or in a file, 5 what you mend on the machine, 7 what you"
        " wait for or bring together. `doctor` ends with 0 or 5. Where standard output cannot be written, a"
        " command says so on standard error and ends with 5, unless it ended with another code; a run's own"
        " code stays. A reader that closes the pipe early (`| head`) changes nothing.",
        "",
    ]
    outcomes = {each.exit_code: each for each in _tree(errors.AgentflowError)}
    rows: list[tuple[str, ...]] = []
    for line in EXIT_CODES.splitlines():
        code, _, told = line.strip().partition(" ")
        if not code[:1].isdigit():
            continue
        known = outcomes.get(int(code)) if code.isdigit() else errors.Interrupted
        known = errors.AgentFailed if code == "1" else known
        outcome = "done" if code == "0" else known.outcome if known else ""
        when = told.strip().removeprefix(f"{outcome}: ")
        rows.append((code, outcome, _prose(when)))
    lines += _table(("code", "`outcome`", "when"), rows)
    return "\n".join(lines) + "\n"


def _worst_first() -> str:
    """The codes of bad outcomes, the one first that counts more than all others."""
    codes = {each.outcome: str(each.exit_code) for each in _tree(errors.AgentflowError)}
    codes |= {errors.AgentFailed.outcome: "1", errors.Interrupted.outcome: "130/143"}
    return ", ".join(codes[outcome] for outcome in WORST)


def _tree(kind: type[errors.AgentflowError]) -> Iterator[type[errors.AgentflowError]]:
    for each in kind.__subclasses__():
        if each is not errors.Interrupted:
            yield each
        yield from _tree(each)


def gates() -> str:
    """Every gate and audit."""
    lines = [
        "# Gates and audits",
        "",
        MADE,
        "",
        "Gates measure the re-created commit, in this order; audits then compare what was claimed with"
        " what was measured. What comes after a failed decisive one is skipped.",
    ]
    found = [
        each
        for name, each in vars(agentflow.judges).items()
        if inspect.isclass(each) and name.endswith(("Gate", "Audit")) and name not in _PROTOCOLS
    ]
    source = inspect.getsource(agentflow.judges)
    for kind in sorted(found, key=lambda each: source.index(f"{each.__name__}(")):
        module = inspect.getdoc(sys.modules[kind.__module__]) or ""
        default = getattr(kind, "__dataclass_fields__", {}).get("name")
        shown = default.default if default else "build:NAME"
        decisive = " Decisive." if shown in DECISIVE else ""
        lines += ["", f"## {shown}", "", _prose(module) + decisive]
        lines += ["", _prose(inspect.getdoc(kind) or "")]
    return "\n".join(lines) + "\n"


_PROTOCOLS = ("Gate", "Audit")


def _prose(text: str) -> str:
    """Text of the code as Markdown: one line a paragraph, nothing of it markup but code."""
    paragraphs = [" ".join(each.split()) for each in text.replace("\b", "").split("\n\n")]
    whole = "\n\n".join(each for each in paragraphs if each)
    return "".join(
        each if each.startswith("`") else each.replace("<", "&lt;").replace("*", "\\*")
        for each in re.split(r"(`[^`]*`)", whole)
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield (
            "| "
            + " | ".join(_PIPED.sub(_spelled, each).replace("\n\n", " ") for each in row)
            + " |"
        )


_PIPED = re.compile(r"`([^`|]*\|[^`]*)`")


def _spelled(code: re.Match[str]) -> str:
    """Code with a bar in it, which a table has no other form for that every reader takes."""
    return f"<code>{html.escape(code[1], quote=False).replace('|', '&#124;')}</code>"


PAGES = {
    "commands.md": commands,
    "settings.md": settings,
    "events.md": events,
    "exit-codes.md": exit_codes,
    "gates.md": gates,
}


def write() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write()
