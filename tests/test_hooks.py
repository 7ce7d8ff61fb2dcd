"""Hooks: one command and its end, whatever it does."""

import asyncio
import json
import os
import re
import time
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from agentflow.configuration import Settings
from agentflow.environment import Hook, HookedTool
from agentflow.errors import EnvironmentFailure
from agentflow.hooks import Hooks
from agentflow.setting_tables import HookSetting
from agentflow.tools import TOOLS
from tests.patience import PATIENCE


class Place:
    """Hooks in a folder, and what they told the user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[str] = []

    async def call(self, *hooks: Hook, tool: str = "", **facts: Any) -> str:
        environment = {"PATH": os.environ["PATH"], "SECRET": "s3cr3t"}
        made = Hooks(
            hooks, {"run": "R"}, environment, self.folder, lambda s: s.replace("s3cr3t", "***")
        )
        return await made.call("tool.before", self.told.append, facts, tool)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def before(command: str, **more: Any) -> Hook:
    return Hook(("tool.before",), command, **more)


def written(path: Path) -> None:
    """Wait until a file holds something."""
    deadline = time.monotonic() + PATIENCE
    while not (path.exists() and path.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def dies(pid: int) -> bool:
    """Whether a process that was killed is gone; one that nobody has waited for yet is."""
    status = Path(f"/proc/{pid}/stat")
    for _ in range(500):
        try:
            if " Z " in status.read_text("utf-8"):
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


async def test_a_hook_reads_what_happens_in_its_folder(place: Place) -> None:
    assert await place.call(before("cat > said.json; pwd > where"), call={"name": "Bash"}) == ""
    assert json.loads(place.read("said.json")) == {
        "version": 1,
        "event": "tool.before",
        "run": "R",
        "call": {"name": "Bash"},
    }
    assert place.read("where").strip() == str(place.folder)


async def test_exit_code_2_refuses_with_what_it_said_and_no_secret(place: Place) -> None:
    refusal = await place.call(
        before("echo no: $SECRET >&2; echo other; exit 2"), before("touch later")
    )
    assert refusal.endswith("(tool.before) refused: no: ***")
    assert refusal.startswith("the hook `echo no: $SECRET >&2")
    assert not (place.folder / "later").exists()
    assert (await place.call(before("exit 2"))).endswith("refused: it gave no reason")
    long = await place.call(before("yes n | head -c 90000 >&2; exit 2"))
    assert 4000 < len(long) < 4200


async def test_a_hook_that_does_not_read_a_large_input_is_not_in_its_way(place: Place) -> None:
    assert await place.call(before("true"), text="x" * 1_000_000) == ""
    assert await place.call(before("wc -c > size"), text="x" * 1_000_000) == ""
    assert int(place.read("size")) > 1_000_000


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo broken >&2; exit 1", "ended with exit code 1: broken"),
        ("./missing", "ended with exit code 127"),
        ("kill -9 $$", "ended with signal 9"),
    ],
)
async def test_a_broken_hook_raises_and_an_advisory_one_is_told(
    place: Place, command: str, words: str
) -> None:
    with pytest.raises(EnvironmentFailure, match=words):
        await place.call(before(command))
    assert await place.call(before(command, advisory=True), before("touch later")) == ""
    assert words in place.told[0]
    assert place.told[0].endswith("it is advisory")
    assert (place.folder / "later").exists()


async def test_a_hook_that_cannot_be_started_is_broken(place: Place) -> None:
    place.folder /= "gone"
    with pytest.raises(EnvironmentFailure, match="cannot be started: No such file"):
        await place.call(before("true"))


async def test_a_hook_out_of_time_refuses_unless_it_is_advisory(place: Place) -> None:
    slow = "sleep 1000 & echo $! > child; wait"
    refusal = await place.call(before(slow, timeout=2.0))
    assert refusal.endswith("(tool.before) did not end within 2.0 s")
    assert dies(int(place.read("child")))
    assert await place.call(before("sleep 1000", timeout=0.1, advisory=True)) == ""
    assert place.told == [
        "the hook `sleep 1000` (tool.before) did not end within 0.1 s; it is advisory"
    ]


async def test_what_a_hook_started_ends_with_it(place: Place) -> None:
    assert await place.call(before("sleep 1000 & echo $! > child")) == ""
    assert dies(int(place.read("child")))


async def test_a_cancelled_hook_and_what_it_started_are_dead(place: Place) -> None:
    calling = asyncio.create_task(place.call(before("sleep 1000 & echo $! > child; wait")))
    await asyncio.to_thread(written, place.folder / "child")
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert dies(int(place.read("child")))


async def test_a_hook_may_be_for_some_tools(place: Place) -> None:
    hook = before("exit 2", tools=("Write", "Edit"))
    assert await place.call(hook, tool="Read") == ""
    assert "refused" in await place.call(hook, tool="Write")


def test_the_tools_of_a_hook_are_those_that_there_are() -> None:
    assert set(get_args(HookedTool)) == set(TOOLS)
    with pytest.raises(ValueError, match="bash"):
        HookSetting.model_validate({"on": ["tool.before"], "command": "x", "tools": ["bash"]})
    with pytest.raises(ValueError, match=r"tool\.during"):
        HookSetting.model_validate({"on": ["tool.during"], "command": "x"})


DOCUMENT = Path(__file__).parents[1] / "docs" / "hooks.md"


def documented(language: str) -> str:
    """The first block of a language in the document."""
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert found
    return found[1]


async def test_the_documented_configuration_and_guard_work(place: Place) -> None:
    hooks = Settings.model_validate(tomllib.loads(documented("toml"))).hook_commands
    assert [hook.on for hook in hooks] == [("run.finished", "run.blocked"), ("tool.before",)]
    (place.folder / "hooks").mkdir()
    (place.folder / "hooks/guard.py").write_text(documented("python"))
    bash = {"name": "Bash", "arguments": {"command": "curl http://a.example"}}
    refused = await place.call(hooks[1], tool="Bash", call=bash)
    assert refused.endswith("refused: No downloads here: the dependencies are installed.")
    assert await place.call(hooks[1], tool="Bash", call={**bash, "arguments": {}}) == ""
