"""The promises audit: which promises of the intent document does the report claim to have kept?

Nothing here can be measured, so nothing fails: it is told which claimed promises do not exist, and
which existing ones nobody mentions.
"""

import asyncio
import re
from collections.abc import Sequence

from agentflow.frozen import record
from agentflow.gates.answer import MAX_ANSWER
from agentflow.neutral import one_line
from agentflow.records import Json, Promise
from agentflow.results import Candidate, Evidence
from agentflow.words import counted

MAX_CLAIMS = 200
"""Items of the report that are read."""
LISTED = 5
"""Names that the notice shows."""

_MAX_LINE = 2_000
_SECTION = re.compile(r"[ \t>]*(?:#{1,6}|\*\*)[ \t]*promises verified\b.*", re.IGNORECASE)
_HEADING = re.compile(r"[ \t>]*(?:#{1,6}[ \t]|\*\*[^*]+\*\*:?\s*$).*")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(?:\[(?P<box>[ xX])\]\s*)?(?P<text>\S.*)")
_ID = re.compile(r"\b(?:PRM|INV|BHV|ANTI)-\w(?:[\w-]{0,30}\w)?")
_NOTHING = re.compile(r"\W*(?:none|n/?a|not applicable|nothing)\b.*", re.IGNORECASE)
_LEAST = 12
"""Characters of which one text must be a part of the other to mean the same promise."""


def compare_promises(known: Sequence[Promise], answer: str) -> Json:
    """Known, claimed, unknown (claimed, and not known) and unmentioned promises, by name.

    A claim is an item under `Promises Verified` without an empty box: each id in it, else the
    promise that it quotes, else its own words.
    """
    claimed: dict[str, None] = {}
    for item in _claims(answer):
        ids = [each.upper() for each in _ID.findall(item)]
        claimed |= dict.fromkeys(ids or [_quoted(item, known)])
    by_name = {promise.name.casefold(): promise.name for promise in known}
    named = list(dict.fromkeys(by_name.get(each.casefold(), each) for each in claimed))
    return {
        "known": [promise.name for promise in known],
        "claimed": named,
        "unknown": [each for each in named if each.casefold() not in by_name],
        "unmentioned": [name for name in by_name.values() if name not in named],
    }


def _claims(answer: str) -> list[str]:
    """The items of the last section, boxes taken off."""
    found: list[str] = []
    inside = False
    for line in answer[-MAX_ANSWER:].splitlines():
        line = line[:_MAX_LINE]
        if _SECTION.fullmatch(line):
            inside, found = True, []
        elif _HEADING.fullmatch(line):
            inside = False
        elif inside and (item := _ITEM.fullmatch(line)) and item["box"] != " ":
            found.append(one_line(item["text"], 200))
    return [item for item in found[:MAX_CLAIMS] if not _NOTHING.fullmatch(item)]


def _quoted(item: str, known: Sequence[Promise]) -> str:
    """The name of the promise whose words an item holds, or that holds the item's; else the item."""
    said = _plain(item)
    for promise in known:
        words = _plain(promise.text)
        shorter, longer = sorted((said, words), key=len)
        if said == words or (len(shorter) >= _LEAST and shorter in longer):
            return promise.name
    return item


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


@record
class PromisesAudit:
    """Tells how the report's claims and the intent document differ; it never fails."""

    known: Sequence[Promise]
    name: str = "promises"

    async def compare(self, candidate: Candidate, measured: Sequence[Evidence]) -> Evidence:
        """Count what is claimed, and name what does not exist or is not mentioned."""
        found = await asyncio.to_thread(compare_promises, self.known, candidate.answer)
        kept = len(found["claimed"]) - len(found["unknown"])
        summary = f"{kept} of {counted(len(found['known']), 'promise')} claimed, none measured"
        told = {
            "not in the intent document": found["unknown"],
            "not mentioned": found["unmentioned"],
        }
        notice = "; ".join(f"{label}: {_listed(names)}" for label, names in told.items() if names)
        return Evidence(
            self.name, "skipped", summary, notices=(one_line(notice, 300),) if notice else ()
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(one_line(name, 60) for name in names[:LISTED]) + more
