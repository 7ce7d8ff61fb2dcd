"""Commands that ask for the same again: what a shell makes of them is what was asked for."""

import shlex
from inspect import signature
from typing import Any

import pytest

from agentflow.cli.phase6 import phase6
from agentflow.commands import TasksCommand, again, batches_command
from agentflow.records import Json
from tests.changed import changed

GATES = [
    {"name": "test", "command": "pytest -q 'a b'", "must_fail_on_base": False},
    {"name": "new", "command": "true", "must_fail_on_base": True},
]
FLAGS: Json = {
    "prompt": "plain",
    "model": "opus",
    "max_turns": 3,
    "max_cost": 0.001,
    "timeout": 90.0,
    "land": "branch",
    "target": "release",
    "allow": ["src/**"],
    "deny": ["*.md"],
    "gates": GATES,
    "allow_red_base": True,
}
SPELLED = (
    "--prompt plain --model opus --max-turns 3 --max-cost 0.001 --timeout 1m30s --land branch "
    "--target release --allow 'src/**' --deny '*.md'"
)


def test_a_command_has_all_that_decides_what_its_run_does() -> None:
    order = {"task": "C", "flags": FLAGS, "base": "agentflow/A", "fresh": True, "arguments": "a b"}
    command = again(order)
    assert command.startswith(f"agentflow run C --base agentflow/A {SPELLED} --gate ")
    words = shlex.split(command)
    gates = ["--gate", "test=pytest -q 'a b'", "--new-gate", "new=true", "--allow-red-base"]
    assert words[-8:] == [*gates, "--arguments", "a b", "--fresh"]


@pytest.mark.parametrize(
    ("order", "changed", "command"),
    [
        ({"task": "x/C d.md"}, {}, "agentflow run 'x/C d.md'"),
        ({"task": "C", "base": "old"}, {"base": "new"}, "agentflow run C --base new"),
        ({"task": "C", "flags": {"land": "none"}}, {"land": "branch"},
         "agentflow run C --land branch"),
        ({"task": "C"}, {"fresh": True}, "agentflow run C --fresh"),
        ({"task": "C", "flags": {"max_turns": 4}}, {"max_turns": 8, "timeout": 5400.5},
         "agentflow run C --max-turns 8 --timeout 1h30m0.5s"),
        ({"task": None, "text": "Say it's done"}, {},
         "agentflow run --text 'Say it'\"'\"'s done'"),
        ({"text": "a\nb"}, {}, "the same command"),
        ({"text": "a" * 201}, {"base": "x"}, "the same command with --base x"),
        ({"text": "a\nb"}, {"fresh": True}, "the same command with --fresh"),
        ({"text": "a\nb", "fresh": True}, {"fresh": True}, "the same command"),
        ({"task": "C", "flags": {"unknown": 1}}, {}, "the same command"),
        ({"made": {"tracking_id": "T_1"}, "flags": {"prompt": "phase-6", "land": "branch",
          "target": "agentflow/T_1", "model": "opus"}}, {}, "agentflow phase-6 T_1 --model opus"),
        ({"made": {"id": "HANDOFF-0a1b2c3d", "handed": {"services": []}}, "base": "b",
          "flags": {"land": "none"}}, {"max_turns": 8},
         "agentflow handoff HANDOFF-0a1b2c3d --base b --max-turns 8 --land none"),
        ({"made": {"id": "HANDOFF-0a1b2c3d-1", "handed": {}}}, {}, "the same command"),
        ({}, {}, "the same command"),
    ],
)  # fmt: skip
def test_what_changes_replaces_what_was_given(
    order: Json, changed: dict[str, Any], command: str
) -> None:
    assert again(order, changed) == command


@pytest.mark.parametrize("wrong", [None, True, 10**400, 1e300, "x\n\x1b", [], [1], {}, {"a": 1}])
def test_an_order_that_anybody_wrote_is_a_command_or_none(wrong: Any) -> None:
    """A repository can bring journals."""
    order: Json = {"task": "C", "flags": FLAGS, "base": "b", "fresh": True, "arguments": "a b",
                   "text": None, "made": {"tracking_id": "T_1", "handed": None}}  # fmt: skip
    for each in (order, {**order, "task": None}, {**order, "task": None, "made": None}):
        for written in changed(each, wrong):
            assert again(written).startswith(("agentflow ", "the same command"))


def test_batches_that_land_elsewhere_say_so() -> None:
    flags = {"prompt": "mine", "target": "release", "gates": GATES[:1]}
    command = batches_command("T_1", flags, "old", "--one-batch")
    assert command == (
        "agentflow phase-6 T_1 --base old --prompt mine --target release "
        "--gate 'test=pytest -q '\"'\"'a b'\"'\"'' --one-batch"
    )


def test_what_needs_several_lines_is_no_command() -> None:
    gates = [{**GATES[0], "command": "true\nfalse"}]
    assert batches_command("T_1", {"gates": gates}) is None
    assert again({"task": "C", "flags": {"gates": gates}}) == "the same command"
    assert TasksCommand(["A"], {"gates": gates}).again({}) == "the same command"


@pytest.mark.parametrize(
    ("names", "enough", "command"),
    [
        (["B", "x/C d.md"], {}, "agentflow run B 'x/C d.md' --base main --max-turns 1 --jobs 1"),
        ([], {"max_turns": 2}, "agentflow run --all --base main --max-turns 2 --jobs 1"),
    ],
)
def test_several_tasks_are_asked_for_as_they_were(
    names: list[str], enough: dict[str, float], command: str
) -> None:
    several = TasksCommand(names, {"max_turns": 1}, "main", ("--jobs 1",))
    assert several.again(enough) == command


def test_options_of_batches_are_those_of_the_command() -> None:
    """Whatever setting a command of batches can be asked for with."""
    flags: Json = {**FLAGS, "profile": "batch", "setup_network": "host", "allow_foreign_head": True}
    command = batches_command("T_1", flags) or ""
    known = {f"--{name.replace('_', '-')}" for name in signature(phase6).parameters}
    given = {each for each in shlex.split(command) if each.startswith("--")}
    assert given <= known
    assert {"--profile", "--setup-network", "--new-gate", "--allow-foreign-head"} <= given
