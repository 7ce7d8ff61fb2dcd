"""The checklist audit: every box of the task and of the prompt, with what is known about it."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from agentflow.frozen import record
from agentflow.gates.added import added_lines
from agentflow.gates.kinds import KINDS, fitting, plain_name, words_of
from agentflow.gates.looks import LOOKS, Look, Seen, asked_looks, see
from agentflow.neutral import one_line
from agentflow.results import Candidate, Criterion, Evidence
from agentflow.workspace.git import Git
from agentflow.workspace.objects import changes_between

MAX_ITEMS = 200
"""Boxes that are judged; the longest checklist in 1,024 public agent files has 81."""
MAX_ANSWER = 1024 * 1024
"""Characters of the answer, from its end, that are searched for a box's words."""

_BOX = re.compile(r"[ \t>]*(?:[-*+]|\d{1,3}[.)])[ \t]+\[([ xX])\][ \t]+(\S.*)")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.+)|\*\*([^*]+)\*\*:?[ \t]*$")
_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})")
_CONTINUED = re.compile(r"[ \t]+(?![-*+][ \t]|\d{1,3}[.)][ \t]|#)\S")
_FOR_EVERY_TASK = re.compile(
    r"complet(?:ion|ing)|finish|definition of done|every (?:task|change)|before (?:you|submit|commit)"
    r"|implementation checklist|security checklist|acceptance criteria|self[- ](?:review|verif)"
    r"|pre-(?:submission|commit)|final checklist|^checklist:?$",
    re.IGNORECASE,
)
"""Headings in a prompt under which boxes are meant for each task, and not for a kind of project."""
_SECRETS = re.compile(
    r"\b(?:no|without) (?:hard ?coded |plain ?text |leaked )?"
    r"(?:secrets?|credentials?|passwords?|api ?keys?)(?: or \w+)?(?: (?:are|is))?"
    r"(?: (?:committed|added|leaked|exposed))?"
    r"(?:$| (?:in|to) (?:the )?(?:code|codebase|diff|source|sources|repo|repository|commits?|change))"
)
_FILLERS = frozenset({
    "a", "all", "and", "are", "both", "bun", "cargo", "check", "checking", "checks", "clean",
    "cleanly", "code", "command", "complete", "completes", "error", "errorfree", "errors",
    "existing", "exit", "exits", "failure", "failures", "go", "green", "in", "is", "issue",
    "issues", "make", "no", "npm", "npx", "of", "on", "or", "our", "pass", "passed", "passes",
    "passing", "pnpm", "poetry", "problem", "problems", "project", "python", "run", "runs",
    "still", "succeed", "succeeds", "successful", "successfully", "suite", "suites", "the",
    "there", "uv", "warning", "warnings", "with", "without", "yarn", "zero",
})  # fmt: skip
"""Words that say nothing but that a check passes."""


@record
class Item:
    """One box."""

    text: str
    of_task: bool
    """A box of a prompt stands there for every task: what it asks to add may not apply."""

    @property
    def words(self) -> str:
        """Its words, between single blanks."""
        return " ".join(words_of(self.text))


@record
class ChecklistAudit:
    """Measures the boxes that can be measured, and says of the others whether the agent spoke of
    them.

    Only a box that was measured and is not met fails; with `strict` also one that nobody
    addressed.
    """

    task: str
    """The task's text."""
    prompt: str
    """The prompt's body, not filled."""
    state: Git
    gates: Mapping[str, str] = field(default_factory=dict[str, str])
    """Words of a box, and the name of the gate that measures it."""
    strict: bool = False
    name: str = "checklist"

    async def compare(self, candidate: Candidate, measured: Sequence[Evidence]) -> Evidence:
        """List every box; fail naming those that are not met."""
        items = checklist(self.task, self.prompt)
        if not items:
            return Evidence(self.name, "skipped", "neither task nor prompt has a checklist")
        return await asyncio.to_thread(self._compare, items, candidate, measured)

    def _compare(
        self, items: Sequence[Item], candidate: Candidate, measured: Sequence[Evidence]
    ) -> Evidence:
        asked = {look.name for item in items for look in asked_looks(item.words)}
        looks = tuple(look for look in LOOKS if look.name in asked)
        changes = changes_between(self.state, candidate.base, candidate.tip) if looks else ()
        seen = see(looks, added_lines(self.state, candidate.base, changes))
        answer = _said(candidate.answer)
        criteria = tuple(self._judge(item, measured, seen, answer) for item in items)
        counts = Counter(criterion.state for criterion in criteria)
        states = ("met", "unmet", "claimed", "unaddressed")
        told = ", ".join(f"{counts[state]} {state}" for state in states if counts[state])
        noun = "criterion" if len(criteria) == 1 else "criteria"
        open_ = {"unmet", "unaddressed"} if self.strict else {"unmet"}
        failed = [criterion for criterion in criteria if criterion.state in open_]
        return Evidence(
            self.name,
            "failed" if failed else "passed",
            f"{len(criteria)} {noun}: {told}",
            "\n".join(_explained(criterion, seen) for criterion in failed),
            notices=tuple(self._idle_gates(measured)),
            criteria=criteria,
        )

    def _judge(
        self, item: Item, measured: Sequence[Evidence], seen: Mapping[str, Seen], answer: str
    ) -> Criterion:
        text = one_line(item.text, 200)
        results = self._by_setting(item, measured) or {
            **_by_gates(item, measured),
            **_by_looks(item, asked_looks(item.words), seen),
        }
        unmet = [name for name, met in results.items() if not met]
        if results:
            return Criterion(text, "unmet" if unmet else "met", ", ".join(unmet or results))
        words = item.words
        return Criterion(text, "claimed" if words and words in answer else "unaddressed")

    def _by_setting(self, item: Item, measured: Sequence[Evidence]) -> dict[str, bool]:
        named = {gate for words, gate in self.gates.items() if _speaks_of(item, words)}
        return _passed(e for e in measured if {e.gate, plain_name(e.gate)} & named)

    def _idle_gates(self, measured: Sequence[Evidence]) -> Iterator[str]:
        run = {name for e in measured if e.status != "skipped"
               for name in (e.gate, plain_name(e.gate))}  # fmt: skip
        for gate in dict.fromkeys(self.gates.values()):
            if gate not in run:
                yield f"the gate {gate}, which [checklist] names, was not run"


def checklist(task: str, prompt: str) -> tuple[Item, ...]:
    """The boxes outside of fences: all of the task, and of the prompt those for every task.

    The same words count once.
    """
    found: dict[str, Item] = {}
    for text, _ in _boxes(task):
        item = Item(text, of_task=True)
        found.setdefault(item.words, item)
    for text, heading in _boxes(prompt):
        if _FOR_EVERY_TASK.search(heading):
            item = Item(text, of_task=False)
            found.setdefault(item.words, item)
    return tuple(found.values())[:MAX_ITEMS]


def _boxes(text: str) -> Iterator[tuple[str, str]]:
    """Text and heading of each box; its text goes on in lines that are indented."""
    heading = fence = ""
    box: list[str] = []
    for line in (*text.splitlines(), ""):
        mark = _FENCE.match(line)
        if box and not mark and _CONTINUED.match(line):
            box.append(line.strip())
            continue
        if box:
            yield " ".join(box), heading
            box = []
        if fence:
            fence = "" if mark and mark[1].startswith(fence) else fence
        elif mark:
            fence = mark[1]
        elif named := _HEADING.match(line):
            heading = named[1] or named[2]
        elif found := _BOX.match(line):
            box = [found[2].strip()]


def _speaks_of(item: Item, words: str) -> bool:
    wanted = " ".join(words_of(words))
    return bool(wanted) and f" {wanted} " in f" {item.words} "


def _passed(evidence: Iterator[Evidence]) -> dict[str, bool]:
    """For each gate that was run whether it passed."""
    return {e.gate: e.status == "passed" for e in evidence if e.status != "skipped"}


def _by_gates(item: Item, measured: Sequence[Evidence]) -> dict[str, bool]:
    """What the gates say of a box that asks for nothing but that checks pass, or for no secrets.

    Every kind of check in it must have a gate that was run.
    """
    if _SECRETS.search(item.words):
        return _passed(e for e in measured if e.gate == "secrets")
    words = {word for word in words_of(item.text) if len(word) > 1} - _FILLERS
    kinds = [kind for kind, names in KINDS.items() if words & names]
    if not kinds or words - frozenset().union(*(KINDS[kind] for kind in kinds)):
        return {}
    results = [_passed(iter(fitting(kind, measured))) for kind in kinds]
    return {k: v for each in results for k, v in each.items()} if all(results) else {}


def _by_looks(item: Item, looks: Sequence[Look], seen: Mapping[str, Seen]) -> dict[str, bool]:
    return {
        look.name: seen[look.name].met
        for look in looks
        if item.of_task or look.absent or seen[look.name].met
    }


def _said(answer: str) -> str:
    """The words of an answer, without the boxes that it leaves open."""
    lines = answer[-MAX_ANSWER:].splitlines()
    boxes = ((line, _BOX.match(line)) for line in lines)
    return " ".join(words_of("\n".join(x for x, box in boxes if not box or box[1] != " ")))


def _explained(criterion: Criterion, seen: Mapping[str, Seen]) -> str:
    places = [place for name in criterion.by.split(", ") if name in seen
              for place in seen[name].where]  # fmt: skip
    where = f" ({', '.join(places[:5])}{', …' if len(places) > 5 else ''})" if places else ""
    if criterion.state == "unaddressed":
        return f"{criterion.text}: not addressed; do it, and say so in your last message"
    return f"{criterion.text}: not met, measured by {criterion.by}{where}"
