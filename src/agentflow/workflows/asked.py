"""A handoff that asks before its run begins: blocked under the run's name, until it is answered.

What was pasted and answered so far lies in the user's cache: what a repository ships in its
`.orchestrator/` cannot make anything run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any

from agentflow.closing import MARKED
from agentflow.disk import write_atomically
from agentflow.errors import Blocked, UsageError
from agentflow.events import HandoffAsked
from agentflow.frontmatter import read_mapping
from agentflow.frozen import record
from agentflow.handoff_parts import handoff_id, title_of
from agentflow.handoffs import choose_block, read_in
from agentflow.journal import Journal
from agentflow.markers import own_folder, write_marker
from agentflow.models.endpoint import keys
from agentflow.records import Json
from agentflow.redacted import redacted_event
from agentflow.redaction import redactor
from agentflow.run_reports import KEPT, REPORT
from agentflow.runs import FOLDER, JOURNAL, list_runs, run_name, task_lock
from agentflow.strict_json import parse_object
from agentflow.tasks.handoff import Handoff
from agentflow.tasks.handoff_questions import Question, Reading, questions_json
from agentflow.words import word
from agentflow.workspace.repository import Repository
from agentflow.world import World


@record
class Pasted:
    """A handoff as it was given."""

    text: str
    number: int | None = None
    """Of the block in the text, from 1."""
    services: tuple[str, ...] = ()
    """Instead of those that the block names."""
    answers: Mapping[str, str] = field(default_factory=dict[str, str])
    """By the ids of questions."""
    base: str | None = None
    bump: bool = False
    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    run: str | None = None
    """The run that asked."""
    where: str = "the handoff"

    @property
    def block(self) -> Handoff:
        """The block that is meant. Raises `UsageError` if there is none, or several."""
        return choose_block(self.text, where=self.where, number=self.number)

    @property
    def id(self) -> str:
        """The handoff's id."""
        return handoff_id(self.block)

    def reading(self, repository: Repository) -> Reading:
        """The block against the repository. Raises `UsageError` for an answer to no question."""
        return read_in(repository, self.block, self.base, self.services, self.answers)


def _file(repository: Repository, world: World, task: str) -> Path:
    return world.cache / repository.key / "handoffs" / f"{task}.asked.json"


def asked_before(repository: Repository, world: World, task: str) -> Pasted | None:
    """What was pasted under this id and asked for more, with the answers so far."""
    try:
        said = parse_object(_file(repository, world, task).read_bytes())
        return replace(Pasted(**said), services=tuple(said["services"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def with_earlier(pasted: Pasted, repository: Repository, world: World) -> Pasted:
    """A handoff with what was answered when it was pasted before, and the run that asked if that
    still waits."""
    earlier = asked_before(repository, world, pasted.id)
    if earlier is None:
        return pasted
    answers = {**earlier.answers, **pasted.answers}
    waits = earlier.run if earlier.run and _waits(repository, pasted.id, earlier.run) else None
    return replace(pasted, answers=answers, run=waits)


def _waits(repository: Repository, task: str, run: str) -> bool:
    """Whether it is the handoff that asks, and not the agent of a run that began."""
    runs = list_runs(repository.root, task)
    return bool(runs) and runs[-1]["run"] == run and runs[-1].get("type") == "questions"


def forget(pasted: Pasted, repository: Repository, world: World) -> None:
    """Begin anew with a handoff: no earlier answer counts."""
    _file(repository, world, pasted.id).unlink(missing_ok=True)


def keep(pasted: Pasted, repository: Repository, world: World) -> None:
    """Keep what was pasted and answered, for the next call."""
    file = _file(repository, world, pasted.id)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(asdict(pasted)), mode=0o600)


def block(
    pasted: Pasted, questions: Sequence[Question], repository: Repository, world: World
) -> Json:
    """Write down that a handoff waits for answers; return the report of its run, which is blocked.

    Raises `Held` if another process is at work on it, `EnvironmentFailure` if it cannot be
    written.
    """
    task, root = pasted.id, repository.root
    with task_lock(repository.locks(world.cache), task):
        run = pasted.run or run_name(task, world.now(), world.entropy(2))
        keep(replace(pasted, run=run), repository, world)
        folder = own_folder(root, FOLDER) / run
        journal = Journal(folder / JOURNAL, world.now)
        report = unanswered(pasted, questions, run)
        event = HandoffAsked(
            run, task, pasted.block.text, tuple(report["questions"]), dict(pasted.answers)
        )
        journal.append(redacted_event(event, redactor(keys(world.environment))))
        journal.close()
        text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        write_atomically(folder / REPORT, text)
        write_atomically(own_folder(root, KEPT) / f"{task}.json", text)
        write_marker(root, task, "blocked")
    return report


def unanswered(pasted: Pasted, questions: Sequence[Question], run: str | None) -> Json:
    """The report of a handoff that asks, under the name of its run if that is written down."""
    names = ", ".join(each.id for each in questions)
    points = "1 point" if len(questions) == 1 else f"{len(questions)} points"
    hint = f"Answer: agentflow answer {word(run)} 'TEXT'"
    if len(questions) > 1:
        hint = f"Answer in YAML, a question's id and its answer: agentflow answer {word(run)} --answers FILE"
    return {
        **questions_json(questions),
        "task": pasted.id,
        "run": run,
        "title": title_of(pasted.block),
        "num_turns": 0,
        "total_cost_usd": 0.0,
        "outcome": Blocked.outcome,
        "exit_code": Blocked.exit_code,
        "reason": f"the handoff leaves {points} open: {names}",
        "hint": hint if run else "",
    }


def answered(text: str, questions: Sequence[Question]) -> dict[str, str]:
    """A person's words as answers: to the only question, with or without its id, or YAML that says
    which.

    Raises `UsageError` if several are open and the words do not say which they answer.
    """
    if len(questions) == 1:
        only = questions[0].id
        return {only: text.strip().removeprefix(f"{only}:")}
    names = ", ".join(each.id for each in questions)
    hint = f"Write one line for each, `id: answer`, or give --answers FILE. Open: {names}."
    try:
        found = read_mapping(text, where="the answer")
    except UsageError as error:
        raise UsageError(f"{len(questions)} questions are open", hint=hint) from error
    if not found or any(not isinstance(value, str) for value in found.values()):
        raise UsageError(f"{len(questions)} questions are open", hint=hint)
    return found


def ended(run: str, report: Json, repository: Repository) -> None:
    """Write down how the linked runs ended of a handoff that had asked under this name."""
    root, task = repository.root, str(report["task"])
    mine: Json = {**report, "run": run, "runs": [each.get("run") for each in report["runs"]]}
    text = json.dumps(mine, indent=2, ensure_ascii=False) + "\n"
    write_atomically(own_folder(root, FOLDER) / run / REPORT, text)
    kind = MARKED.get(str(report["outcome"]))
    if kind:
        write_marker(root, task, kind)
