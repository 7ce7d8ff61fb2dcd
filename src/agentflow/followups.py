"""Follow-ups: what an agent says must change elsewhere becomes a proposed task.

Read are the items below a heading `Needed elsewhere` or `Follow-ups` of its last message, or of the
reason or question with which it ended, and of an answer in JSON the field of that name, and those of
its `notes` that begin with a path outside the task's boundaries. The words are an agent's: nobody runs them before a person accepts them, and what
they may change is only the path that they name.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from agentflow.boundaries import violation
from agentflow.disk import write_atomically
from agentflow.errors import UsageError
from agentflow.frontmatter import check_inside
from agentflow.frozen import record
from agentflow.globs import check_glob
from agentflow.neutral import neutral, one_line
from agentflow.records import Boundaries, Json, Task
from agentflow.tasks.task import FOLDER

MOST = 10
"""Follow-ups of one task."""
LONGEST_NAME = 255
"""Bytes of a file's name: what Linux's file systems take."""
LONGEST = 2_000
"""Characters of one."""

_NAMES = r"needed elsewhere|needs elsewhere|changes? needed elsewhere|follow[- ]?ups?"
_HEADING = re.compile(rf"\s*(?:#{{1,6}}\s+|\*\*)(?:{_NAMES})\W*", re.IGNORECASE)
_OTHER = re.compile(r"\s*(?:#{1,6}\s+\S|\*\*[^*]+\*\*\W*$)")
_ITEM = re.compile(r"\s{0,3}(?:[-*+]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?(?P<text>\S.*)")
_FIELDS = re.compile(_NAMES.replace("[- ]", "[-_ ]").replace(" elsewhere", "[_ ]elsewhere"), re.I)
_PATH = re.compile(r"`(?P<path>[^`\s]{1,300})`")
_NOTHING = re.compile(r"(?:none|nothing|n/?a|-+)\W*", re.IGNORECASE)


@record
class Need:
    """A change that an agent asks for and may not make."""

    text: str
    path: str = ""
    """Where, if it says so and a task may change it; empty if not."""


def needs_elsewhere(report: Json, boundaries: Boundaries) -> tuple[Need, ...]:
    """What the agent of a run says must change elsewhere; `boundaries` are its own."""
    answer: Any = report.get("structured_output")
    texts = (str(report.get(name) or "") for name in ("result", "reason"))
    said = [each for text in texts for each in _below_heading(text)]
    if isinstance(answer, dict):
        said += _in_answer(cast("Json", answer), boundaries)
    found = dict.fromkeys(text.strip()[:LONGEST] for text in said if not _NOTHING.fullmatch(text))
    return tuple(Need(text, _path(text)) for text in found)[:MOST]


def _below_heading(text: str) -> Iterator[str]:
    """The items of the lists below such a heading; a line that goes on belongs to its item."""
    inside, item = False, list[str]()
    for line in text.splitlines():
        heading = bool(_HEADING.fullmatch(line))
        found = _ITEM.fullmatch(line)
        if heading or _OTHER.match(line) or found:
            if inside and item:
                yield "\n".join(item)
            inside = heading or (inside and found is not None)
            item = [found["text"]] if found else []
        elif item and line.strip():
            item.append(line.strip())
    if inside and item:
        yield "\n".join(item)


def _in_answer(answer: Json, boundaries: Boundaries) -> Iterator[str]:
    """The items of fields with such a name, and notes that are about another area."""
    nested = [cast("Json", each) for each in answer.values() if isinstance(each, dict)]
    for place in (answer, *nested):
        for name, value in place.items():
            if _FIELDS.fullmatch(name):
                yield from _texts(value)
            elif name == "notes":
                yield from (
                    text
                    for text in _texts(value)
                    if (path := _path(text)) and violation(boundaries, path)
                )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        listed = [found["text"] for line in value.splitlines() if (found := _ITEM.fullmatch(line))]
        yield from listed or [value]
    elif isinstance(value, list):
        yield from (each for each in cast("list[Any]", value) if isinstance(each, str))


def _path(text: str) -> str:
    """The path that the text begins with, if a task may change it; a protected one nobody is
    given by an agent's word."""
    found = _PATH.match(text)
    if found is None:
        return ""
    try:
        path = check_glob(found["path"], where="follow-up")
    except UsageError:
        return ""
    is_name = not set("*?{}") & set(path) and all(
        len(name.encode("utf-8", "replace")) <= LONGEST_NAME for name in path.split("/")
    )
    return "" if not is_name or violation(Boundaries(), path.rstrip("/")) else path


def followups_in(report: Json) -> list[str]:
    """The ids of the tasks that a run's report says were proposed; it may say anything."""
    named = report.get("follow_ups")
    ours = re.compile(rf"{re.escape(str(report.get('task')))}-followup-\d{{1,6}}")
    found = cast("list[Any]", named) if isinstance(named, list) else []
    return [each for each in found if isinstance(each, str) and ours.fullmatch(each)]


def write_followups(
    root: Path, task: Task, run: str, needs: Sequence[Need], *, is_done: bool
) -> list[str]:
    """Write each need as a proposed task; return the ids, those of an earlier run included.

    It depends on the task if that `is_done`; if not, the task may need it first. Raises
    `UsageError` if a link of the repository leads the folder elsewhere, and `EnvironmentFailure` if
    the disk refuses.
    """
    folder = root / FOLDER
    ids: list[str] = []
    number = 0
    for need in needs:
        quoted = _quoted(need.text)
        while True:
            number += 1
            name = f"{task.id}-followup-{number}"
            path = folder / f"{name}.md"
            if not path.exists() or quoted in path.read_text("utf-8", "replace"):
                break
        if not path.exists():
            check_inside(path, root)
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(
                path, _file(task, run, need, quoted, _new_file(root, need.path), is_done=is_done)
            )
        ids.append(name)
    return ids


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in neutral(text).splitlines())


def _new_file(root: Path, path: str) -> str:
    """The path if it can only mean a file that is not there yet; empty if not."""
    is_file = "." in path.rpartition("/")[2].lstrip(".")
    return path if is_file and not (root / path).exists() else ""


def _file(task: Task, run: str, need: Need, quoted: str, new: str, *, is_done: bool) -> str:
    title = one_line(need.text.replace("`", ""), 100)
    allow = f"allow: [{json.dumps(need.path)}]" if need.path else "# allow: [ ] is for you to say"
    return "\n".join((
        "---",
        f"title: {json.dumps(title, ensure_ascii=False)}",
        "status: proposed",
        *([f"depends_on: {task.id}"] if is_done else []),
        allow,
        *([f"files: [{json.dumps(new)}]"] if new else []),
        "---",
        "",
        f"# {title}",
        "",
        f"The agent of {task.id} (run {run}) asks for this, outside what it may change itself."
        + ("" if is_done else f" {task.id} is not done, and may need this first.")
        + " Its words:",
        "",
        quoted,
        "",
    ))
