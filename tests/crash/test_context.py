"""Killed while its conversation is shortened, a run sends what one sends that nobody killed."""

import json
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.events import ContextReduced, ContextSummarized
from agentflow.history import counting, decode
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.records import Json
from agentflow.runs import newest_run
from tests.crash.test_kills import life_of, lives, result
from tests.crash.test_landing import EVERY
from tests.crash.victim import Life
from tests.run.project import GATE, HELLO, Project, call, make_project, turn
from tests.run.test_context import WINDOW, big_files, lines_of, read, usage

pytestmark = pytest.mark.sandbox

REDUCED, SUMMARIZED = ContextReduced.type, ContextSummarized.type


def write(number: int, tokens: int) -> Json:
    text = call("Write", file_path=f"app/{number}.txt", content=lines_of(number))
    return turn(text, usage=usage(tokens))


TURNS = [
    *(turn(read(number), usage=usage(3_000 + 1_800 * number)) for number in range(4)),
    *(write(1, 7_000), write(2, 10_000), write(3, 19_500)),
    turn(text="Four files are read, three are written."),
    turn(call("Read", file_path="/tmp/results/2-0.txt", offset=2, limit=1)),
    turn(HELLO),
    turn(text="Done."),
]
"""Results become files in the middle, and a summary takes the place of most of it near the end."""


def make(folder: Path) -> Project:
    project = make_project(folder)
    big_files(project, 4)
    return project


def around(names: list[str], event: str) -> range:
    """The moments (from 1) between the last word before an event and the next reply after it."""
    place = names.index(event)
    before = max(n for n, name in enumerate(names[:place]) if name == "assistant")
    return range(before + 1, names.index("assistant", place) + 2)


def shortened(project: Project) -> Json:
    """How often the conversation was, as the lines that count say."""
    run = newest_run(project.root, "TASK-1") or ""
    kinds = [line.event.type for line in counting(decode(project.journal(run)))]
    return {event: kinds.count(event) for event in (REDUCED, SUMMARIZED)}


async def test_killed_while_the_conversation_is_shortened(tmp_path: Path, bwrap: str) -> None:
    async with ScriptedServer(read_script({"turns": TURNS, "by": "requests"})) as server:

        def begin(project: Project) -> Life:
            life = life_of(project, server.url)
            return replace(life, flags={**life.flags, "gates": [GATE], "context_window": WINDOW})

        def asked() -> list[str]:
            """What was asked, each once: a reply that never came is asked for again."""
            found = dict.fromkeys(json.dumps(each.body["messages"]) for each in server.requests)
            server.requests.clear()
            return list(found)

        whole, told = make(tmp_path / "whole"), tmp_path / "told.txt"
        assert await lives(begin(whole), told) == 0
        names = told.read_text().splitlines()[1:]
        assert (names.count(REDUCED), names.count(SUMMARIZED)) == (2, 1)
        wanted, wanted_requests = {**result(whole), **shortened(whole)}, asked()
        assert len(wanted_requests) == len(TURNS)

        moments = [*around(names, REDUCED), *around(names, SUMMARIZED)]
        told_of = [names.index(event) + 1 for event in (REDUCED, SUMMARIZED)]
        for moment in sorted({*told_of, *moments[::EVERY]}):
            torn = make(tmp_path / f"torn-{moment}")
            again = random.Random(moment).randint(1, 60)  # while it is restored, or soon after
            for dies_at in (moment, again):
                code = await lives(replace(begin(torn), dies_at=dies_at), told)
                assert code == -signal.SIGKILL, told.read_text()
            assert await lives(begin(torn), told) == 0
            assert {**result(torn), **shortened(torn)} == wanted, (
                f"moment {moment}: {names[moment - 1]}"
            )
            assert len(server.requests) <= len(TURNS) + 2
            assert asked() == wanted_requests, f"moment {moment}: {names[moment - 1]}"
