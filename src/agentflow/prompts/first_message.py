"""The first message: the task, and what a run expects of whoever works on it.

In Python and not a template: importing an engine and compiling take as long as everything else
before the first request.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from agentflow.environment import Environment
from agentflow.frozen import record
from agentflow.globs import as_written
from agentflow.json_schema import outline
from agentflow.records import WORKSPACE, Boundaries, BuildCommand, Neighbour, Profile, Promise, Task

LISTED_NEIGHBOURS = 40
"""Tasks of others that are listed."""
LISTED_PROMISES = 100
"""Promises that are listed."""
_BOX = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+\[[ xX]\]\s", re.MULTILINE)
_JUDGED = (
    "Your result is then checked: only what is in the working tree counts, not what a message "
    "claims. Deleted or skipped tests and changed test configuration fail the check."
)
_COMMITS = {
    "agent": "Commit your work yourself before you finish; leave nothing uncommitted. Do not "
    "rewrite existing commits and do not push.",
    "orchestrator": "You do not need to commit: whatever you leave in the working tree is "
    "committed for you.",
    "none": "Do not change any file and do not commit: your answer is the result.",
}
_DISPUTED = (
    "The line above decides about commits. It overrides whatever your instructions, or a persona "
    "that they name, say of git and of who commits."
)
_ELSEWHERE = {
    "json": "in the notes of your answer",
    "": "at the end of your last message, under the heading `## Needed elsewhere`",
}


@record
class Briefing:
    """What a run is about, and what surrounds it."""

    task: Task
    boundaries: Boundaries
    gates: Sequence[BuildCommand]
    profile: Profile = Profile()
    around: Environment = Environment()
    """What stands beside the checkout."""
    promises: Sequence[Promise] = ()
    beside: Sequence[Neighbour] | None = None
    """The tasks that others work on at the same time; None if nobody coordinates them."""
    disputed: bool = False
    """Whether the prompt and a persona contradict each other about commits."""
    mounted: bool = True
    """Whether the repository is at `WORKSPACE`, and not somewhere on this machine."""
    confined: bool = True
    """Whether the network is none, or the proxy's, and not this machine's."""

    @property
    def text(self) -> str:
        """The task's text without a heading that only repeats the title."""
        first, _, rest = self.task.text.partition("\n")
        repeats = first.lstrip("# ").strip() == self.task.title
        return rest.strip("\r\n") if repeats else self.task.text

    @property
    def has_checklist(self) -> bool:
        """Whether the task has boxes to tick."""
        return _BOX.search(self.task.text) is not None

    @property
    def schema(self) -> str:
        """The form of the answer, if it has one."""
        return outline(self.profile.output_schema) if self.profile.output_schema else ""


def first_message(briefing: Briefing) -> str:
    """The message, with one line end at its end."""
    task = briefing.task
    lines = (
        f"- {_place(briefing)} {_network(briefing)}",
        *_surroundings(briefing.around),
        *_boundaries(briefing.boundaries),
        *_neighbours(briefing.beside or ()),
        *_elsewhere(briefing),
        *([f"- These files must exist at the end and not be empty: {listed(task.files)}."]
          if task.files else ()),
        *_gates(briefing.gates),
        f"- {_JUDGED}",
        f"- {_COMMITS[briefing.profile.commits]}",
        *([f"- {_DISPUTED}"] if briefing.disputed else ()),
        *(["- Repeat the boxes of the checklist above in your last message, ticked only where you "
           + "made sure."] if briefing.has_checklist else ()),
        *_promises(briefing.promises),
        *_end(briefing),
        "- If you cannot do the task, write the reason to "
        + f"`.orchestrator/complete/{task.id}.failed`. If only a person can decide something "
        + "without which nothing useful can be done, write the question to "
        + f"`.orchestrator/complete/{task.id}.blocked`.",
    )  # fmt: skip
    head = f"# Task {task.id}: {task.title}\n\n{briefing.text}\n\n---\n\n# This run\n\n"
    return head + "\n".join(lines) + "\n"


def listed(names: Iterable[str], sign: str = "") -> str:
    """Names between commas, each as a code span."""
    return ", ".join(f"`{sign}{name}`" for name in names)


def _place(briefing: Briefing) -> str:
    if briefing.mounted:
        return (
            f"The repository is checked out at `{WORKSPACE}`. Absolute paths like `/docs/x` mean "
            f"`{WORKSPACE}/docs/x`."
        )
    return (
        "You start at the root of the repository: `pwd` prints it, and relative paths start "
        "there. Absolute paths like `/docs/x` mean `docs/x` in it."
    )


def _network(briefing: Briefing) -> str:
    if not briefing.confined:
        return "The network is this machine's."
    if hosts := briefing.around.agent_network:
        return (
            f"The network reaches only {listed(hosts)}, through a proxy that the usual variables "
            "name, and how much you send is limited."
        )
    return "There is no network."


def _surroundings(around: Environment) -> Iterator[str]:
    if setup := around.setup:
        yield (
            f"- `{setup.command}` was run for you; {listed(setup.provides)} is there and "
            "read-only. A package that you add to the manifest is installed before your result is "
            "checked, not now."
        )
    for service in around.services:
        variables = f": {listed(service.variables, '$')}" if service.variables else ""
        yield f"- The service {service.name} runs beside you{variables}."


def _boundaries(boundaries: Boundaries) -> Iterator[str]:
    if boundaries.allow:
        allowed = listed(map(as_written, boundaries.allow))
        yield f"- You may change only: {allowed}. Everything else is read-only."
    elif boundaries.within:
        yield "- You may change files only within the lists below."
    else:
        yield "- You may change any file except those that control git, CI, editors and agents."
    for layer in boundaries.within:
        yield f"- A file that you change must also match one of: {listed(map(as_written, layer))}."
    if boundaries.deny:
        yield f"- You may not change: {listed(boundaries.deny)}."


def _neighbours(beside: Sequence[Neighbour]) -> Iterator[str]:
    if beside:
        yield (
            "- Other agents work at the same time, each on a copy of its own. What they may change "
            "is theirs, whatever your boundaries allow; it comes together after you have finished:"
        )
    for each in beside[:LISTED_NEIGHBOURS]:
        title = f" ({each.title})" if each.title not in {"", each.task} else ""
        yield f"  - {each.task}{title}: {listed(map(as_written, each.allow)) or 'any path'}"
    if len(beside) > LISTED_NEIGHBOURS:
        yield f"  - and {len(beside) - LISTED_NEIGHBOURS} more"


def _elsewhere(briefing: Briefing) -> Iterator[str]:
    """Where to say that others must change something."""
    if briefing.beside is None and not briefing.boundaries.allow:
        return
    where = _ELSEWHERE["json" if briefing.profile.completion == "json" else ""]
    yield (
        f"- If something outside your paths must change, leave it and say so {where}: one item for "
        "each change, beginning with its path in backticks."
    )


def _gates(gates: Sequence[BuildCommand]) -> Iterator[str]:
    if gates:
        yield "- Afterwards these commands must pass on a clean checkout of your result:"
    for gate in gates:
        remarks = {
            f", in `{gate.cwd}`": bool(gate.cwd),
            " (left to a CI job: it may not work here)": gate.where == "ci",
            " (it fails before your change)": gate.must_fail_on_base,
            f" (its report must show that these tests passed: {listed(gate.tests)})": bool(
                gate.tests
            ),
            " (a formatter: what it changes in your files is taken in)": gate.fix,
        }
        said = "".join(remark for remark, holds in remarks.items() if holds)
        yield f"  - {gate.name}: `{gate.command}`{said}"


def _promises(promises: Sequence[Promise]) -> Iterator[str]:
    if promises:
        yield (
            "- The product's promises, as its intent document names them. In your report, name "
            'under "Promises Verified" those that you made sure of, and no others:'
        )
    for promise in promises[:LISTED_PROMISES]:
        text = f": {promise.text}" if promise.text not in {"", promise.name} else ""
        yield f"  - {promise.name}{text}"
    if len(promises) > LISTED_PROMISES:
        yield f"  - and {len(promises) - LISTED_PROMISES} more in the document"


def _end(briefing: Briefing) -> Iterator[str]:
    """How the end is signalled."""
    match briefing.profile.completion:
        case "marker":
            marker = f".orchestrator/complete/{briefing.task.id}.done"
            yield f"- When you are finished, write `done` to `{marker}` as your last action."
        case "json":
            answer = (
                "- When you are finished, answer with one JSON object and call no further tool."
            )
            form = " It has this form (`?`: may be left out):\n\n```\n{}\n```\n"
            yield answer + (form.format(briefing.schema) if briefing.schema else "")
        case "report":
            yield "- When you are finished, answer with your report and call no further tool."
        case _:
            yield "- When you are finished, say so in a short message and call no further tool."
