"""The runs of a work tree as rows; a report is read again only when its file has changed."""

import os
from pathlib import Path

from agentflow.details.board import RunRow
from agentflow.records import Json
from agentflow.run_reports import REPORT, read_report
from agentflow.runs import FOLDER, JOURNAL, started_at
from agentflow.shown_reports import shown
from agentflow.spending import of_report
from agentflow.web.following import Follower

_SPENT = ("replay", "num_turns", "usage", "total_cost_usd", "models")
Key = tuple[int, int, int]


class Shelf:
    """Rows of all runs. Not for several threads at once."""

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER
        self._rows: dict[str, tuple[Key, RunRow]] = {}
        self._followers: dict[str, Follower] = {}

    def rows(self) -> list[RunRow]:
        """All runs, oldest first; one without a report is `unfinished`."""
        try:
            with os.scandir(self._folder) as entries:
                names = [each.name for each in entries if started_at(each.name)]
        except OSError:
            names = []
        for kept in self._rows.keys() - set(names):
            del self._rows[kept]
        return [self._row(name) for name in sorted(names, key=lambda n: n.rsplit("-", 2)[1:])]

    def follower(self, run: str) -> Follower:
        """What the journal of a run says by now."""
        follower = self._followers.setdefault(run, Follower(self._folder / run / JOURNAL))
        follower.look()
        return follower

    def _row(self, name: str) -> RunRow:
        key = key_of(self._folder / name / REPORT)
        if key is None:
            return self._so_far(name)
        kept = self._rows.get(name)
        if kept is None or kept[0] != key:
            self._followers.pop(name, None)
            kept = self._rows[name] = key, as_row(read_report(self._folder / name))
        return kept[1]

    def _so_far(self, name: str) -> RunRow:
        follower = self.follower(name)
        spent = {k: v for k, v in follower.spent().items() if v is not None}
        bare = read_report(self._folder / name)
        return as_row({**spent, **{k: bare[k] for k in ("task", "run", "outcome", "exit_code")}})


def key_of(path: Path) -> Key | None:
    """By what is seen that a file has changed; None if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def as_row(report: Json) -> RunRow:
    """The row of a report, whatever is in it."""
    fields = shown(report)
    prompt = report.get("prompt")
    name = prompt.get("name") if isinstance(prompt, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    model = report.get("model")
    milliseconds = fields["duration_ms"]
    return RunRow(
        run=fields["run"],
        task=fields["task"],
        title=fields["title"],
        outcome=fields["outcome"],
        reason=fields["reason"],
        hint=fields["hint"],
        began=started_at(fields["run"]),
        seconds=None if milliseconds is None else milliseconds / 1000,
        spent=of_report(report),
        prompt=name if isinstance(name, str) else "",
        model=(f"replay of {model}" if fields["replay"] else model)
        if isinstance(model, str)
        else "",
        report={
            **{field: report.get(field) for field in _SPENT},
            **{field: fields[field] for field in ("task", "run", "outcome")},
            "prompt": {"name": name} if isinstance(name, str) else None,
        },
    )
