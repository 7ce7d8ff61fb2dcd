"""The contract audit: is the answer in the form that the prompt promises, and is it true?"""

import asyncio
from collections.abc import Collection, Sequence

from agentflow.frozen import record
from agentflow.gates.answer import missing_headings, read_answer
from agentflow.gates.claims import differences, false_passes
from agentflow.json_schema import outline, problems
from agentflow.neutral import one_line
from agentflow.records import Json, Profile
from agentflow.results import Candidate, Evidence
from agentflow.words import counted

REPORT_HEADINGS = ("Implemented", "Tests", "Promises Verified", "Notes")
"""The sections of a report, as the built-in `engineer` prompt asks for them."""
MAX_OBJECTS = 50
"""The last objects of an answer, among which the one of the right form is looked for."""
MAX_OUTLINE = 4000
"""Characters of the schema that are shown again."""


def asks_for_an_answer(profile: Profile) -> bool:
    """Whether a prompt promises an answer of a certain form."""
    formed = profile.completion in {"json", "report"} or profile.output_schema is not None
    return formed or profile.commits == "none"


@record
class ContractAudit:
    """Judges the agent's last words by the prompt's profile.

    A missing or malformed answer fails, and so does a check that is said to have passed although
    its gate did not. Every other difference is a notice: git says what is true.
    """

    profile: Profile
    packages: Collection[str] | None = None
    """Packages that the change added, as measured; None if nobody counted them."""
    name: str = "contract"

    async def compare(self, candidate: Candidate, measured: Sequence[Evidence]) -> Evidence:
        """Fail without the answer that was asked for, and for a pass that was none."""
        return await asyncio.to_thread(self._compare, candidate, measured)

    def _compare(self, candidate: Candidate, measured: Sequence[Evidence]) -> Evidence:
        if self.profile.completion == "json" or self.profile.output_schema is not None:
            return self._compare_object(candidate, measured)
        if self.profile.completion == "report":
            return self._compare_report(candidate.answer)
        if self.profile.commits == "none" and not candidate.answer.strip():
            return self._failed("no answer", ["The answer is the result, and there is none."], "")
        return Evidence(self.name, "skipped", "the prompt asks for no answer of a certain form")

    def _compare_report(self, answer: str) -> Evidence:
        missing = missing_headings(answer, REPORT_HEADINGS)
        if not missing:
            return Evidence(self.name, "passed", "the report has all its sections")
        form = "\n".join(f"## {heading}" for heading in REPORT_HEADINGS)
        return self._failed(
            f"the report lacks {', '.join(missing)}",
            [],
            f"Give the whole report again, with these headings:\n{form}",
        )

    def _compare_object(self, candidate: Candidate, measured: Sequence[Evidence]) -> Evidence:
        schema = self.profile.output_schema or {}
        advice = f"Answer again with one whole JSON object{_form(schema)}"
        answer = read_answer(candidate.answer)
        if not answer.objects:
            return self._failed(
                "the answer holds no valid JSON object", [f"The answer: {answer.problem}."], advice
            )
        wrong = problems(answer.objects[-1], schema)
        latest = reversed(answer.objects[-MAX_OBJECTS:])
        claims = next((o for o in latest if not problems(o, schema)), None)
        if claims is None:
            summary = f"the JSON object has {counted(len(wrong), 'problem')}: {wrong[0]}"
            return self._failed(summary, wrong, advice)
        return self._judge(claims, candidate, measured)

    def _judge(self, claims: Json, candidate: Candidate, measured: Sequence[Evidence]) -> Evidence:
        notices = differences(claims, candidate, measured, self.packages)
        false = false_passes(claims, measured)
        if false:
            advice = "Answer again with one whole JSON object that says what is true."
            return self._failed(false[0], false, advice, notices)
        summary = "the answer has its form and agrees with what was measured"
        if notices:
            summary = f"the answer has its form; {counted(len(notices), 'difference')}"
        return Evidence(self.name, "passed", summary, notices=notices, answer=claims)

    def _failed(
        self,
        summary: str,
        found: Sequence[str],
        advice: str,
        notices: tuple[str, ...] = (),
    ) -> Evidence:
        detail = "\n".join((
            *(one_line(text, 300) for text in found),
            *([advice] if advice else []),
        ))
        return Evidence(self.name, "failed", one_line(summary, 200), detail, notices=notices)


def _form(schema: Json) -> str:
    if not schema:
        return "."
    text = outline(schema)
    cut = "\n…" if len(text) > MAX_OUTLINE else ""
    return f" of this form (`?`: may be left out):\n{text[:MAX_OUTLINE]}{cut}"
