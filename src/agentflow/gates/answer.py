"""An agent's answer as text: the JSON objects and the headings in it, found in bounded time."""

import json
import re
from collections.abc import Iterator, Sequence

from agentflow.frozen import record
from agentflow.records import Json
from agentflow.strict_json import parse_object

MAX_ANSWER = 1024 * 1024
"""Characters, from the end, that are looked at."""
_MAX_WASTE = 8 * MAX_ANSWER
"""Characters that may be read in vain: a text of open braces could be read a million times."""
_RECURSION_COST = 100_000
_MAX_FAILURES = 2000
"""Attempts: to say where JSON is wrong, Python counts the lines from the text's beginning."""
_OPENING = re.compile(r"\{\s{0,1000}[\"}]")
_NO_OBJECT = "there is no JSON object in it"


@record
class Answer:
    """What an answer holds."""

    objects: tuple[Json, ...]
    """Every valid JSON object that is not part of another one, in order; fences do not matter."""
    problem: str = ""
    """Why the longest of the other texts that begin like an object is none."""


def read_answer(text: str) -> Answer:
    """Find the JSON objects in an answer, with or without fences and prose around them."""
    text = text[-MAX_ANSWER:]
    objects: list[Json] = []
    failures: list[tuple[int, str]] = [(0, _NO_OBJECT)]
    for attempt in _attempts(text):
        if isinstance(attempt, dict):
            objects.append(attempt)
        else:
            failures.append(attempt)
    return Answer(tuple(objects), max(failures)[1])


def _attempts(text: str) -> Iterator[Json | tuple[int, str]]:
    """For each `{` an object, or how many characters were read and why they are none."""
    decoder = json.JSONDecoder()
    position = wasted = failed = 0
    while wasted < _MAX_WASTE and failed < _MAX_FAILURES:
        opening = _OPENING.search(text, position)
        if opening is None:
            return
        start, failed = opening.start(), failed + 1
        try:
            _, position = decoder.raw_decode(text, start)
            yield parse_object(text[start:position])
            failed -= 1
        except json.JSONDecodeError as error:
            position = start + 1
            wasted += error.pos - start
            yield error.pos - start, f"{error.msg} (line {error.lineno} of the answer)"
        except RecursionError:
            position, wasted = start + 1, wasted + _RECURSION_COST
        except ValueError as error:
            position = max(position, start + 1)
            yield position - start, str(error)


def missing_headings(text: str, wanted: Sequence[str]) -> list[str]:
    """The headings that do not stand in the answer, as `## Name` or `**Name**` on a line."""
    found = {
        " ".join(heading[1].split()).casefold()
        for heading in re.finditer(
            r"^[ \t>]*(?:#{1,6}|\*\*)[ \t]*([^\n:*#]{1,80})", text[-MAX_ANSWER:], re.MULTILINE
        )
    }
    return [name for name in wanted if name.casefold() not in found]
