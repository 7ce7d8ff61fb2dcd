"""Task files: fields, ids, warnings, and refusals that name file, line and key."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.records import Boundaries, BuildCommand, Task
from agentflow.tasks.task import (
    FOLDER,
    MAX_TASK,
    check_id,
    find_task,
    parse_gate,
    read_task,
    text_task,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / FOLDER / "TASK-1.md"
    path.parent.mkdir(parents=True)
    return path


def read(path: Path, text: str) -> Task:
    path.write_bytes(text.encode())
    return read_task(path)[0]


FULL = """---
id: TASK-1
title: Add an  endpoint
prompt: engineer
profile: strict
model: opus
allow: [src/**, "tests/"]
deny: src/a.py, src/{b,c}.py
files:
  - src/new.py
gates:
  test: pytest -q
  lint: ruff check .
depends_on: [TASK-0, 03a-PROMPT-ARCHITECTURE]
base: main
max_turns: 20
max_cost: 1.5
timeout: 45m
expect: no-change
---

# A heading

Text.
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_field_is_read(file: Path, end: str) -> None:
    assert replace(read(file, FULL.replace("\n", end)), sha256="") == Task(
        id="TASK-1",
        title="Add an endpoint",
        text=f"# A heading{end}{end}Text.",
        path=file,
        prompt="engineer",
        profile="strict",
        model="opus",
        boundaries=Boundaries(("src/**", "tests/"), ("src/a.py", "src/{b,c}.py")),
        files=("src/new.py",),
        gates=(BuildCommand("test", "pytest -q"), BuildCommand("lint", "ruff check .")),
        depends_on=("TASK-0", "03a-PROMPT-ARCHITECTURE"),
        base="main",
        max_turns=20,
        max_cost=1.5,
        timeout=2700.0,
        expect="no-change",
    )
    assert read_task(file)[1] == ()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Just text.", "TASK-1"),
        ("text\n\n## Heading ##\n\n# Later", "Heading"),
        ("# Heading #\r\n\r\ntext\r\n", "Heading"),
        ("---\ntitle: |\n  two\n  lines\n---\n# H", "two lines"),
        ("---\ntitle:\n---\n# H", "H"),
        ("#hashtag", "TASK-1"),
    ],
)
def test_the_title_is_one_line_from_header_heading_or_id(file: Path, text: str, title: str) -> None:
    assert read(file, text).title == title


def test_empty_values_say_nothing(file: Path) -> None:
    header = "allow:\ndeny: []\ngates: {}\nmodel: null\nbase: ~\nmax_turns:\ntimeout: ''\n"
    task = replace(read(file, f"---\n{header}---\ntext"), sha256="")
    assert task == Task("TASK-1", "TASK-1", "text", file)


@pytest.mark.parametrize(
    ("header", "gates"),
    [
        ("gates: {test: 'pytest -q'}", (BuildCommand("test", "pytest -q"),)),
        ("gates: ['test=pytest -q']", (BuildCommand("test", "pytest -q"),)),
        ("gates:\n  - test = A=1 make x=y", (BuildCommand("test", "A=1 make x=y"),)),
        ("gates:\n  - a=b\n  - c=d", (BuildCommand("a", "b"), BuildCommand("c", "d"))),
    ],
)
def test_gates_are_a_mapping_or_a_list(
    file: Path, header: str, gates: tuple[BuildCommand, ...]
) -> None:
    assert read(file, f"---\n{header}\n---\ntext").gates == gates


def test_lists_are_written_in_three_ways(file: Path) -> None:
    for value in (
        "[a, 'b{c,d}', e]",
        "a, b{c,d}, e",
        "|\n  a\n  b{c,d}\n  e",
        "\n- a\n- b{c,d}\n- e",
    ):
        assert read(file, f"---\nallow: {value}\n---\nx").boundaries.allow == ("a", "b{c,d}", "e")


def test_unknown_keys_are_warned_of_with_the_nearest(file: Path) -> None:
    file.write_text("---\ntitel: a\nprompt: x\nzzz: 1\n---\ntext", "utf-8")
    assert read_task(file)[1] == (
        f"{file}:2: unknown key 'titel'; did you mean 'title'?",
        f"{file}:4: unknown key 'zzz'",
    )


@pytest.mark.parametrize(
    ("key", "meant"), [("alow", "allow"), ("denny", "deny"), ("gate", "gates"), ("file", "files")]
)
def test_a_misspelt_limit_is_refused(file: Path, key: str, meant: str) -> None:
    file.write_text(f"---\ntitle: x\n{key}: a\n---\ntext", "utf-8")
    with pytest.raises(UsageError, match=f":3: unknown key '{key}'; did you mean '{meant}'"):
        read_task(file)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("max_turns: many", ":2: max_turns: it must be a whole number (given: 'many')"),
        ("title: x\nmax_turns: 0", ":3: max_turns: it must be 1 or more"),
        ("max_cost: .inf", ":2: max_cost: it must be a number"),
        ("max_cost: inf", ":2: max_cost: it must be a finite number"),
        ("timeout: soon", ":2: timeout: 'soon' is not a duration like 45m, 90s or 1h30m"),
        ("expect: nothing", ":2: expect: it must be 'change' or 'no-change'"),
        ("allow: {a: b}", ":2: allow: it must be a list"),
        ("allow: [[a]]", ":2: allow.0: it must be a text"),
        ("title: x\nallow: ../x", ":3: allow: the boundary '../x' leaves the repository"),
        ("deny: '!x'", ":2: deny: the boundary '!x' is a negation"),
        ("allow: '{src,tests'", ":2: allow: the boundary '{src' holds braces"),
        ("files: src/*.py", ":2: files: 'src/*.py' must be one file's path"),
        ("files: src/", ":2: files: 'src/' must be one file's path"),
        ("files: /etc/passwd", ":2: files: the boundary '/etc/passwd' must be relative"),
        ("gates: [pytest]", ":2: gates: write distinct"),
        ("gates: [test: pytest]", ":2: gates: write distinct"),
        ("gates: [my gate=true]", ":2: gates: 'my gate' cannot be a gate's name"),
        ("gates: [a=b, a=c]", ":2: gates: write distinct"),
        ("gates: pytest", ":2: gates: it must hold keys and their values"),
        ("gates: {a b: c}", ":2: gates.a b: it must be a name of letters"),
        ("gates: {a: ''}", ":2: gates.a: it is empty"),
        (
            "title: x\ngates: {lint: {command: x, cmd: y}}",
            ":3: gates.lint: unknown key 'cmd'; did you mean 'cwd'? (known: command, timeout, ",
        ),
        ("gates: {lint: {cmd: y}}", ":2: gates.lint: unknown key 'cmd'; did you mean 'command'?"),
        ("gates: {lint: {timeout: 5m}}", ":2: gates.lint.command: it is missing"),
        ("gates: {lint: {command: ''}}", ":2: gates.lint.command: it is empty"),
        (
            "gates: {lint: {command: x, retries: 9}}",
            ":2: gates.lint.retries: it must be 5 or less (given: '9')",
        ),
        ("gates: {a: b, a: c}", ":2: the header is not valid YAML: the key 'a' stands twice"),
        ("id: ../x", ":2: id: '../x' is not the file's name"),
        ("id: TASK-2", ":2: id: 'TASK-2' is not the file's name"),
        ("depends_on: [a/b]", ":2: depends_on: 'a/b' cannot be a task id"),
        ("a: b: c", ":2: the header is not valid YAML"),
    ],
)
def test_a_bad_value_is_named_by_file_line_and_key(file: Path, header: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(file, f"---\n{header}\n---\ntext")
    assert caught.value.message.startswith(f"{file}{message}")


@pytest.mark.parametrize("text", ["", "\n \n", "---\ntitle: x\n---\n", "---\ntitle: x\n---\n \r\n"])
def test_a_task_that_says_nothing_is_refused(file: Path, text: str) -> None:
    with pytest.raises(UsageError, match=rf"^{file} says nothing"):
        read(file, text)


def test_a_huge_or_binary_file_is_refused(file: Path) -> None:
    for data, problem in [
        (b"x" * (MAX_TASK + 1), f"is larger than {MAX_TASK} bytes"),
        (b"\x7fELF\0\0", "is not text"),
        (b"\xff\xfe", "is not UTF-8"),
    ]:
        file.write_bytes(data)
        with pytest.raises(UsageError, match=rf"^{file} {problem}"):
            read_task(file)


IDS = [
    "TASK-001", "TASK-T01", "BUILD-015", "TASK_2025_064_1", "GAQNO-1170",
    "03a-PROMPT-ARCHITECTURE", "v1.2", "a" * 100,
]  # fmt: skip


@pytest.mark.parametrize("identifier", IDS)
def test_ids_of_the_field_are_accepted(identifier: str) -> None:
    assert check_id(identifier) == identifier


@pytest.mark.parametrize(
    "identifier",
    [
        "", "a/b", "a\\b", "..", "a..b", ".a", "-a", "_a", "a.", "a.lock", "a@{1}", "a b", "a\n",
        "a~1", "a^", "a:b", "a?", "a*", "a[b", "é", "a\0", "a" * 101,
    ],
)  # fmt: skip
def test_an_id_that_is_no_file_name_or_ref_is_refused(identifier: str) -> None:
    with pytest.raises(UsageError, match="cannot be a task id"):
        check_id(identifier)


def test_a_task_is_found_by_id_or_path(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("text", "utf-8")
    assert find_task("TASK-1", tmp_path) == file
    assert find_task(str(file), Path("/nowhere")) == file
    monkeypatch.chdir(file.parent)
    assert find_task("TASK-1.md", Path("/nowhere")) == Path("TASK-1.md")
    assert find_task("./TASK-1.md", Path("/nowhere")) == Path("TASK-1.md")


def test_a_task_outside_the_folder_takes_its_id_from_header_or_name(tmp_path: Path) -> None:
    path = tmp_path / "plan.md"
    assert read(path, "text").id == "plan"
    assert read(path, "---\nid: TASK-9\n---\ntext").id == "TASK-9"
    odd = tmp_path / "My plan.md"
    with pytest.raises(UsageError, match=rf"^{odd}: 'My plan' cannot be a task id"):
        read(odd, "text")
    assert read(odd, "---\nid: TASK-9\n---\ntext").id == "TASK-9"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("TASK-2", f"there is no task 'TASK-2' in {FOLDER}; did you mean 'TASK-1'?", "TASK-1"),
        ("zzz", f"there is no task 'zzz' in {FOLDER}", "Known tasks: TASK-1"),
        ("a..b", "'a..b' cannot be a task id", "for example TASK-123"),
        ("no/such", "there is no task file no/such", "Known tasks: TASK-1"),
        ("none.md", "there is no task file none.md", "Known tasks: TASK-1"),
    ],
)
def test_an_unknown_task_is_answered_with_the_nearest(
    tmp_path: Path, file: Path, name: str, message: str, hint: str
) -> None:
    file.write_text("text", "utf-8")
    with pytest.raises(UsageError) as caught:
        find_task(name, tmp_path)
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_where_no_task_is_known_the_hint_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_task("TASK-1", tmp_path)
    told = f"Write {FOLDER}/<ID>.md, or give the task as --text."
    assert caught.value.hint == f"Prepare the repository first: agentflow init. {told}"
    (tmp_path / FOLDER).parent.mkdir()
    with pytest.raises(UsageError) as caught:
        find_task("TASK-1", tmp_path)
    assert caught.value.hint == told


def test_what_is_no_file_is_no_task_and_never_suggested(tmp_path: Path, file: Path) -> None:
    file.mkdir()
    file.with_name("LNK-1.md").symlink_to("gone.md")
    os.mkfifo(file.with_name("PIPE-1.md"))
    file.with_name("RING-1.md").symlink_to("RING-1.md")
    for name, told in (
        ("TASK-1", "is a folder"),
        ("LNK-1", "is a link that leads nowhere: gone.md"),
        ("PIPE-1", "is no regular file"),
        ("RING-1", "is a link that leads nowhere: RING-1.md"),
    ):
        place = file.with_name(f"{name}.md")
        for given in (name, str(place)):
            with pytest.raises(UsageError) as caught:
                find_task(given, tmp_path)
            assert caught.value.message == f"{place} {told}"
    with pytest.raises(UsageError) as caught:
        find_task("TASK-2", tmp_path)
    assert caught.value.message == f"there is no task 'TASK-2' in {FOLDER}"
    assert "Known tasks" not in caught.value.hint


def test_gates_are_split_at_the_first_equals_sign() -> None:
    assert parse_gate(" test = A=b pytest ", where="x") == ("test", "A=b pytest")
    for text in ("", "test", "=x"):
        with pytest.raises(UsageError) as caught:
            parse_gate(text, where="--gate")
        assert caught.value.message == f"--gate: {text!r} is not a gate"


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("test=", "the gate 'test' has no command", "'test=pytest -q'"),
        ("test= ", "the gate 'test' has no command", "'test=pytest -q'"),
        ("my gate=true", "'my gate' cannot be a gate's name", "for example my-gate=true."),
        ("../a=b", "'../a' cannot be a gate's name", "for example a=b."),
        ("é=b", "'é' cannot be a gate's name", "at most 100."),
        (f"{'a' * 101}=b", f"'{'a' * 101}' cannot be a gate's name", "at most 100"),
    ],
)
def test_what_is_wrong_with_a_gate_is_said(text: str, problem: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gate(text, where="--gate")
    assert caught.value.message == f"--gate: {problem}"
    assert hint in caught.value.hint


def test_free_text_is_a_task_whose_id_depends_on_it_alone() -> None:
    task = text_task("\n## Add GET /health\n\nwith a test\n")
    assert task.sha256.startswith("ef6b62e8")
    assert replace(task, sha256="") == Task(
        "TEXT-ef6b62e8", "Add GET /health", "## Add GET /health\n\nwith a test"
    )
    assert text_task("## Add GET /health\n\nwith a test").id == task.id
    assert text_task("other").id != task.id
    assert check_id(task.id)
    assert text_task("#\nx").title == text_task("#\nx").id
    assert len(text_task("x" * 200).title) == 80


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (" \n", "is empty"),
        ("a\0b", "holds a NUL byte"),
        ("a\udcff", r"is not UTF-8 \(character 1\)"),
        ("x" * (MAX_TASK + 1), f"is longer than {MAX_TASK} bytes"),
    ],
)
def test_free_text_that_cannot_be_sent_is_refused(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=rf"^the task's text {problem}"):
        text_task(text)
