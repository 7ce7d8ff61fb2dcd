"""The protocol of a real toolbox, and what it does with lines that are not its protocol."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentflow.sandbox import open_sandbox
from agentflow.sandbox.policy import Policy


def test_a_toolbox_says_that_it_is_ready(open_toolbox: Callable[..., Any]) -> None:
    box = open_toolbox()
    assert box.ready == {"ready": True, "pid": box.process.pid}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"garbage", "The request is not JSON: Expecting value"),
        (b"", "The request is not JSON: Expecting value"),
        (b"[1]", "The request is not a JSON object."),
        (b"null", "The request is not a JSON object."),
        (b"\xff\xfe", "The request is not JSON: "),
        (b'{"id": 1, "tool": "Nope", "arguments": {}}', "There is no tool 'Nope'."),
        (b'{"id": 1, "tool": ["Read"], "arguments": {}}', "There is no tool ['Read']."),
        (b'{"id": 1, "arguments": {}}', "There is no tool None."),
        (b'{"id": 1, "tool": "Read", "arguments": [1]}', "The arguments are not a JSON object."),
        (b'{"id": 1, "tool": "Read"}', "The arguments are not a JSON object."),
        (b'{"id": 1, "tool": "Read", "arguments": {}}', "The tool failed: KeyError: 'file_path'"),
        (b'{"id": 1, "tool": "Read", "arguments": {"file_path": 1}}', "The tool failed: "),
        (b"[" * 100_000, "The request is not JSON: maximum recursion depth exceeded"),
        (b'{"a":' * 100_000, "The request is not JSON: maximum recursion depth exceeded"),
    ],
)
def test_a_bad_line_is_answered(open_toolbox: Callable[..., Any], line: bytes, error: str) -> None:
    box = open_toolbox()
    answer = box.send(line)
    assert answer["error"].startswith(error)
    assert "result" in box.ask("State")


def test_reads_run_beside_each_other_and_writes_alone(
    open_toolbox: Callable[..., Any], root: Path
) -> None:
    box = open_toolbox()
    calls: list[tuple[str, dict[str, Any]]] = [
        ("Write", {"file_path": "a", "content": "1"}),
        ("Read", {"file_path": "a"}),
        ("Read", {"file_path": "a"}),
        ("Bash", {"command": "sleep 0.1; printf 2 > a"}),
        ("Read", {"file_path": "a"}),
        ("Write", {"file_path": "a", "content": "3"}),
        ("Bash", {"command": "cat a"}),
    ]
    lines = [
        json.dumps({"id": number, "tool": tool, "arguments": arguments})
        for number, (tool, arguments) in enumerate(calls)
    ]
    answers = [box.send("\n".join(lines).encode()), *(box.receive() for _ in calls[1:])]
    results = {answer["id"]: answer["result"] for answer in answers}
    assert [results[n]["lines"] for n in (1, 2, 4)] == [["1"], ["1"], ["2"]]
    assert results[6]["output"] == "3"


def test_a_command_waits_for_earlier_reads(open_toolbox: Callable[..., Any], root: Path) -> None:
    with (root / "huge").open("wb") as file:
        file.write(b"line\n" * 3000)
        file.truncate(1 << 30)
    box = open_toolbox()
    lines = (
        b'{"id": 1, "tool": "Read", "arguments": {"file_path": "huge"}}\n'
        b'{"id": 2, "tool": "Bash", "arguments": {"command": "true"}}'
    )
    assert [box.send(lines)["id"], box.receive()["id"]] == [1, 2]


def test_state_goes_on_in_a_later_toolbox(open_toolbox: Callable[..., Any], root: Path) -> None:
    (root / "sub").mkdir()
    for name in ("whole", "part"):
        (root / name).write_text("a\nb\n")
    first = open_toolbox()
    first.ask("Bash", command="cd sub")
    first.ask("Read", file_path="whole")
    first.ask("Read", file_path="part", limit=1)
    state = first.ask("State")["result"]
    assert state == {"cwd": f"{root}/sub", "read": [f"{root}/whole"], "partial": [f"{root}/part"]}
    second = open_toolbox(state=state)
    assert second.ask("State")["result"] == state
    assert second.ask("Bash", command="pwd")["result"]["output"] == f"{root}/sub\n"
    assert "result" in second.ask("Write", file_path="whole", content="")
    assert "error" in second.ask("Write", file_path="part", content="")
    assert "result" in second.ask("Edit", file_path="part", old_string="a", new_string="c")


def _wait_for(path: Path) -> int:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if path.exists() and path.read_text("utf-8").strip():
            return int(path.read_text("utf-8"))
        time.sleep(0.005)
    raise AssertionError(f"{path} did not appear")


@pytest.mark.parametrize("ending", ["end of input", "SIGTERM"])
def test_the_end_of_a_toolbox_is_the_end_of_its_children(
    open_toolbox: Callable[..., Any], root: Path, ending: str
) -> None:
    box = open_toolbox()
    call = {
        "id": 1,
        "tool": "Bash",
        "arguments": {"command": "setsid sleep 60 & echo $! > pid; wait"},
    }
    box.process.stdin.write(json.dumps(call).encode() + b"\n")
    box.process.stdin.flush()
    pid = _wait_for(root / "pid")
    if ending == "SIGTERM":
        box.process.send_signal(signal.SIGTERM)
        box.process.wait(5)
    box.close()
    assert not Path(f"/proc/{pid}").exists()


def test_a_bad_configuration_ends_with_2(open_toolbox: Callable[..., Any]) -> None:
    arguments = open_toolbox().process.args
    for line in (b"", b"nonsense\n", b"[]\n", b"{}\n", b"[" * 100_000 + b"\n"):
        ended = subprocess.run(arguments, input=line, capture_output=True, check=False)
        assert ended.returncode == 2
        assert ended.stderr.startswith(b"toolbox: bad configuration: ")


@pytest.mark.sandbox
@pytest.mark.usefixtures("bwrap")
@pytest.mark.parametrize(
    "command", ["kill 1", "kill -INT 1", "kill -HUP 1", "pkill python", "kill -INT 1; kill 1"]
)
async def test_no_command_ends_a_toolbox_that_is_the_first_process(
    root: Path, command: str
) -> None:
    async with open_sandbox("bubblewrap", Policy(tree=root)) as sandbox:
        for _ in range(2):
            result = await sandbox.call("Bash", {"command": f"{command}; sleep 0.1; echo $PPID"})
            assert result["output"].split()[-1] == "1"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, "The tool failed: KeyError: 'services'"),
        ({"services": [{"name": "a"}]}, "The tool failed: KeyError: 'ready'"),
        (
            {"services": [{"name": "a", "command": "exit 3", "ready": "false", "timeout": 5}]},
            "the service 'a' ended with exit code 3 before it was ready",
        ),
    ],
)
def test_services_that_do_not_start_leave_a_toolbox_that_works(
    open_toolbox: Callable[..., Any], arguments: dict[str, Any], error: str
) -> None:
    box = open_toolbox()
    assert box.ask("Services", **arguments) == {"error": error}
    assert box.ask("Bash", command="echo $$")["result"]["notes"] == []


def test_a_service_ends_with_its_toolbox(open_toolbox: Callable[..., Any], root: Path) -> None:
    box = open_toolbox()
    command = "setsid sh -c 'echo $$ > pid; exec sleep 600' & exec sleep 600"
    service = {"name": "a", "command": command, "ready": "test -s pid", "timeout": 5}
    assert box.ask("Services", services=[service]) == {"result": {}}
    pid = _wait_for(root / "pid")
    assert box.ask("Bash", command="(sleep 600 &)")["result"]["notes"] == []
    assert Path(f"/proc/{pid}").exists()
    box.close()
    assert not Path(f"/proc/{pid}").exists()
