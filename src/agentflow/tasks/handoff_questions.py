"""What a handoff leaves open, as precise questions, and the answers to them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.nearest import nearest
from agentflow.records import Boundaries, Json
from agentflow.tasks.handoff import LABELS, Handoff, is_placeholder, names
from agentflow.tasks.service_match import (
    Match,
    Workspace,
    boundaries,
    contract_packages,
    match,
)

SERVICE = "service:"
"""What the id of a question about one named service begins with."""
MAX_ANSWER = 64 * 1024
"""Characters of one answer."""
_MOST_NAMED = 12

_OPEN = {"", "?", "tbd", "tba", "unknown", "unclear", "not sure", "to be defined"}
_ENDPOINT_WORD = re.compile(r"\bendpoints?\b|\bDTOs?\b", re.IGNORECASE)
_SHAPE = re.compile(
    r"(?:```|~~~)(?!(?:bash|sh|shell|console|http|text|curl)?[ \t]*\r?\n)\w|"
    r"`[^`\n]{0,300}\{[^`\n]{0,300}[:|,]|(?:```|~~~)[ \t]*\r?\n\s{0,20}[{\[]"
)
"""Code that shows a shape: a fence of a language that has any, an object in code marks."""


@record
class Question:
    """One thing that must be known before anything is spent."""

    id: str
    """Stable for a block: `work`, `services`, `contract`, or `service:<name>`."""
    question: str
    why: str
    line: int
    """The block's line that it is about, from 1."""


@record
class Reading:
    """A handoff against a workspace: where the work is, and what is open."""

    handoff: Handoff
    matches: tuple[Match, ...]
    packages: Mapping[str, str]
    """Shared contract packages that the block names, each with its folder."""
    questions: tuple[Question, ...]

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of services and contract packages, each once; an empty text is the root."""
        found = [each.folder for each in self.matches if each.folder is not None]
        return tuple(dict.fromkeys((*found, *self.packages.values())))

    @property
    def boundaries(self) -> Boundaries:
        """What may be changed."""
        return boundaries(self.folders)


def read_against(handoff: Handoff, workspace: Workspace) -> Reading:
    """Match a handoff's services, and find what it leaves open."""
    matches = tuple(
        match(name, workspace) for name in handoff.services or _implied(handoff, workspace)
    )
    shared = "\n".join((handoff.contract, handoff.work, *handoff.services))
    found = [
        *_about_work(handoff),
        *_about_services(handoff, matches, workspace),
        *_about_contract(handoff),
    ]
    return Reading(handoff, matches, contract_packages(shared, workspace), tuple(found))


def _implied(handoff: Handoff, workspace: Workspace) -> tuple[str, ...]:
    """The service of a block that names none: the folder of its recipient, or all that there is."""
    if match(handoff.recipient, workspace).folder:
        return (handoff.recipient,)
    return () if workspace.folders else (workspace.name,)


def is_said(text: str) -> bool:
    """Whether a field says anything: more than a template's words or `TBD`."""
    return text.strip(" \t\n`*_.").lower() not in _OPEN and not is_placeholder(text)


def _line(handoff: Handoff, name: str) -> int:
    return handoff.lines.get(name, handoff.line)


def _about_work(handoff: Handoff) -> list[Question]:
    if is_said(handoff.work):
        return []
    begins = " ".join(handoff.trigger.split())[:80]
    asked = f"; it begins: {begins}" if is_said(begins) else ""
    return [
        Question(
            "work",
            "What should be implemented?",
            f"the block says nothing under {LABELS['work']!r}{asked}",
            _line(handoff, "work"),
        )
    ]


def _about_services(
    handoff: Handoff, matches: Sequence[Match], workspace: Workspace
) -> list[Question]:
    line = _line(handoff, "services")
    if not matches:
        return [
            Question(
                "services",
                "Which services should be changed?",
                f"the block names none, and the workspace has {_listed(workspace.folders)}",
                line,
            )
        ]
    return [_about_service(each, workspace, line) for each in matches if each.folder is None]


def _about_service(found: Match, workspace: Workspace, line: int) -> Question:
    if found.folders:
        why = f"it could be {_listed(found.folders)}"
    else:
        last = [folder.rpartition("/")[2] for folder in workspace.folders]
        close = nearest(found.name, [*last, *workspace.folders, *workspace.packages])
        told = close or f"; the workspace has {_listed(workspace.folders)}"
        why = f"no folder, package or submodule is called {found.name!r}{told}"
    return Question(f"{SERVICE}{found.name}", f"Which folder is {found.name!r}?", why, line)


def _listed(folders: Sequence[str]) -> str:
    if not folders:
        return "no folders of services"
    more = len(folders) - _MOST_NAMED
    named = ", ".join(folder or "the whole repository" for folder in folders[:_MOST_NAMED])
    return named + (f" and {more} more" if more > 0 else "")


def _about_contract(handoff: Handoff) -> list[Question]:
    """A contract is needed where the work is about endpoints, and no shape stands anywhere."""
    named = [each for each in handoff.endpoints if each.path in handoff.work] or (
        handoff.endpoints if "endpoints" in handoff.lines else []
    )
    about = bool(named) or bool(_ENDPOINT_WORD.search(handoff.work))
    if not about or is_said(handoff.contract) or _SHAPE.search(handoff.text):
        return []
    which = f" of {named[0].method} {named[0].path}" if named else ""
    return [
        Question(
            "contract",
            f"Which request and response shapes are expected{which}?",
            f"the work is about endpoints, and the block says nothing under {LABELS['contract']!r}",
            named[0].line if named else _line(handoff, "work"),
        )
    ]


def with_answers(handoff: Handoff, answers: Mapping[str, str]) -> Handoff:
    """The handoff with answers in it, which its text then ends with.

    An id is a field's name or `service:<name>`, also of a name that stands in another answer. Raises
    `UsageError` for another one, and for an answer that is empty or longer than `MAX_ANSWER`.
    """
    named = names(answers["services"]) if "services" in answers else handoff.services
    services, met = _followed(named, answers)
    known = [*LABELS, *(f"{SERVICE}{name}" for name in dict.fromkeys((*handoff.services, *met)))]
    for name, answer in answers.items():
        if name not in known or name == "endpoints":
            raise UsageError(
                f"there is no question {name[:200]!r}{nearest(name, known)}",
                hint=f"An answer is for one of: {', '.join(known[:_MOST_NAMED])}.",
            )
        if not is_said(answer) or len(answer) > MAX_ANSWER:
            raise UsageError(f"the answer to {name!r} is empty, or longer than {MAX_ANSWER}")
    if not answers:
        return handoff
    fields = {
        name: answers[name].strip() for name in LABELS if name in answers and name != "services"
    }
    changed = replace(handoff, services=services)
    told = "\n".join(f"- **{LABELS.get(name, name)}**: {text}" for name, text in answers.items())
    return replace(changed, **fields, text=f"{handoff.text}\n\n## Answers\n\n{told}")


def _followed(
    named: Sequence[str], answers: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The services after all answers, and every name that was met on the way: what answers a question
    about one name may be asked about itself."""
    services, met = tuple(dict.fromkeys(named)), dict.fromkeys(named)
    for _ in answers:  # more steps than answers are a ring
        answered = (
            names(answers[f"{SERVICE}{name}"]) if f"{SERVICE}{name}" in answers else (name,)
            for name in services
        )
        before, services = services, tuple(dict.fromkeys(chain.from_iterable(answered)))
        met |= dict.fromkeys(services)
        if services == before:
            break
    return services, tuple(met)


def unplaced(answers: Mapping[str, str], reading: Reading) -> dict[str, str]:
    """Which of these answers name something that is no folder of the workspace, or could be several:
    their ids, and why. `reading` is that of the handoff with them."""
    return {
        each: question.why
        for each, answer in answers.items()
        if each == "services" or each.startswith(SERVICE)
        for question in reading.questions
        if question.id.startswith(SERVICE) and question.id.removeprefix(SERVICE) in names(answer)
    }


def questions_json(questions: Sequence[Question]) -> Json:
    """The questions as data."""
    return {"type": "questions", "questions": [asdict(each) for each in questions]}
