"""Reading scripts, and what is wrong with one."""

from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.models.scripted import Script, load_script, read_script
from agentflow.models.scripted.faults import FAULTS, find_fault
from agentflow.models.scripted.script import Call, Turn

YAML = """
model: claude-sonnet-5-5
turns:
  - thinking: hm
    calls: [{tool: Read, input: {file_path: ä.py}}, {tool: Bash, raw: '{"broken'}]
    usage: {input_tokens: 10, output_tokens: 5}
    latency: 0.05
    pace: 1
    faults: [overloaded, "stall:2"]
  - {text: done}
  - {calls: [{tool: Read}], stop_reason: max_tokens}
"""

EXPECTED = Script(
    (
        Turn(
            thinking="hm",
            calls=(Call("Read", '{"file_path": "ä.py"}'), Call("Bash", '{"broken')),
            stop_reason="tool_use",
            usage={"input_tokens": 10, "output_tokens": 5},
            latency=0.05,
            pace=1,
            faults=(FAULTS["overloaded"], find_fault("stall:2")),
        ),
        Turn(text="done"),
        Turn(calls=(Call("Read", "{}"),), stop_reason="max_tokens"),
    ),
    "claude-sonnet-5-5",
)


def test_a_script_is_read_from_text_and_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(YAML, "utf-8")
    assert load_script(YAML) == EXPECTED
    assert load_script(path) == EXPECTED


def test_a_script_may_be_json() -> None:
    assert load_script('{"turns": [{"text": "hi"}]}') == Script((Turn(text="hi"),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("turns: [", "script: neither YAML nor JSON", id="not YAML"),
        pytest.param("hello", "script: expected a mapping", id="not a mapping"),
        pytest.param("{}", "script: turns: at least one", id="no turns"),
        pytest.param("turns: {}", "script: turns: expected a list", id="turns are no list"),
        pytest.param("truns: []", "unknown key 'truns'; did you mean 'turns'", id="a typo"),
        pytest.param("turns: [1]", "script, turn 1: expected a mapping", id="a turn is no mapping"),
        pytest.param(
            "turns: [{text: a}, {cals: []}]",
            "script, turn 2: unknown key 'cals'; did you mean 'calls'",
            id="a typo in a turn",
        ),
        pytest.param("turns: [{text: 1}]", "turn 1: text: expected text", id="text is a number"),
        pytest.param("turns: [{latency: true}]", "latency: expected a number", id="no boolean"),
        pytest.param("turns: [{pace: -1}]", "turn 1: pace: may not be negative", id="negative"),
        pytest.param(
            "turns: [{calls: [{input: {}}]}]", "turn 1, call 1: tool: the name", id="no tool"
        ),
        pytest.param(
            "turns: [{calls: [{tool: a, input: {}, raw: b}]}]", "either input or raw", id="both"
        ),
        pytest.param(
            "turns: [{usage: {tokens: 1}}]", "turn 1, usage: unknown key 'tokens'", id="usage"
        ),
        pytest.param(
            "turns: [{faults: [overload]}]",
            "turn 1: faults: there is no fault 'overload'; did you mean 'overloaded'",
            id="an unknown fault",
        ),
        pytest.param("turns: [{faults: ['stall:x']}]", "not a number", id="seconds are text"),
        pytest.param("turns: [{faults: ['stall:-1']}]", "between 0 and", id="negative seconds"),
        pytest.param("turns: [{faults: ['stall:nan']}]", "between 0 and", id="no seconds"),
    ],
)
def test_a_bad_script_names_the_place(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_script(text)
    assert message in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_script(tmp_path / "nowhere.yaml")


def test_plain_data_is_read_under_a_name() -> None:
    with pytest.raises(UsageError, match=r"^demo, turn 1: unknown key"):
        read_script({"turns": [{"x": 1}]}, "demo")
