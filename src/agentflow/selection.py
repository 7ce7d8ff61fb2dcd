"""Which runs are meant: filters over what is known of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from agentflow.durations import parse_duration
from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.records import Json
from agentflow.runs import started_at


@record
class Selection:
    """What runs must be like. Nothing said means all."""

    task: str | None = None
    outcomes: tuple[str, ...] = ()
    """One of these."""
    since: datetime | None = None
    """Begun then or later."""
    prompt: str | None = None
    model: str | None = None
    """A part of the model's identifier, as `sonnet`."""
    limit: int | None = None
    """The newest ones."""


def select(reports: Sequence[Json], selection: Selection) -> list[Json]:
    """The reports that are meant, in the order that they had."""
    found = [report for report in reports if _is_meant(report, selection)]
    return found[-selection.limit :] if selection.limit else found


def _is_meant(report: Json, selection: Selection) -> bool:
    since = selection.since
    begun = started_at(str(report["run"])) if since else None
    return (
        selection.task in {None, report["task"]}
        and (not selection.outcomes or report["outcome"] in selection.outcomes)
        and (since is None or (begun is not None and begun >= since))
        and (selection.prompt is None or _prompt(report) == selection.prompt)
        and (selection.model is None or selection.model in str(report.get("model", "")))
    )


def _prompt(report: Json) -> object:
    prompt = report.get("prompt")
    return cast("Json", prompt).get("name") if isinstance(prompt, dict) else None


def parse_since(text: str, now: datetime, *, where: str) -> datetime:
    """The moment that `7d`, `2h` ago or `2026-11-20`, `2026-11-20T19:33` (UTC) means.

    Raises `UsageError`.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return now - timedelta(seconds=parse_duration(text, where=where))
    except (UsageError, OverflowError) as error:
        raise UsageError(
            f"{where}: {text[:40]!r} is no time like 7d, 2h, 2026-11-20 or 2026-11-20T19:33"
        ) from error
