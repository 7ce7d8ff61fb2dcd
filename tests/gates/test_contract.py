"""The contract audit: answers in every shape, and claims that are not true."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agentflow.gates.answer import read_answer
from agentflow.gates.claims import LISTED, changed_paths
from agentflow.gates.contract import ContractAudit
from agentflow.prompts.loader import load_prompt
from agentflow.prompts.search import builtin_folder
from agentflow.records import Json, Profile
from agentflow.results import Candidate, Change, Commit, Evidence
from agentflow.tools import DEFAULT_TOOLS
from tests.growth import check_growth

BASE, TIP = "b" * 40, "t" * 40
SCHEMA: Json = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}
BACKEND = load_prompt(builtin_folder() / "backend-dev.md", DEFAULT_TOOLS).profile
GREEN = (
    Evidence("commit", "passed", "1 commit"),
    Evidence("build:type-check", "passed", ""),
    Evidence("build:unit_tests", "passed", ""),
    Evidence("build:eslint", "passed", ""),
)


def change(status: str, path: str) -> Change:
    return Change(status, path, "000000" if status == "D" else "100644", "c" * 40)


def candidate(answer: str, *commits: tuple[Change, ...]) -> Candidate:
    made = (Commit(TIP, "e" * 40, (BASE,), "x", changes) for changes in commits)
    return Candidate(BASE, TIP, tuple(made), answer=answer)


async def judged(answer: str, **profile: Any) -> Evidence:
    return await ContractAudit(Profile(**profile)).compare(candidate(answer), GREEN)


OBJECTS: list[tuple[str, list[Json]]] = [
    ('{"ok": true}', [{"ok": True}]),
    ('Done:\n```json\n{"ok": true}\n```\nBye {name}, {}.', [{"ok": True}, {}]),
    ('~~~~\n{"a": {"b": {}}}\n~~~~ {"ok": 1}', [{"a": {"b": {}}}, {"ok": 1}]),
    ('{"ok": true', []),
    ('{"ok": NaN} {"ok": 1e999} {"ok": 2}', [{"ok": 2}]),
    ('{{"ok": 3}}', [{"ok": 3}]),
    ('{"text": "} { \\" ```"}', [{"text": '} { " ```'}]),
    ("[1]", []),
    ("", []),
]


@pytest.mark.parametrize(("answer", "found"), OBJECTS)
def test_objects_in_an_answer(answer: str, found: list[Json]) -> None:
    assert list(read_answer(answer).objects) == found


def test_why_there_is_none() -> None:
    assert read_answer("done").problem == "there is no JSON object in it"
    example = 'So {x}:\n{"schemaChanges": true|false}'
    assert read_answer(example).problem == "Expecting ',' delimiter (line 2 of the answer)"
    assert read_answer('{"a": ' + "[" * 101 + "]" * 101 + "}").problem == "nested too deeply"
    assert read_answer('{"a": ' + "9" * 5000 + "}").objects == ()


HOSTILE: list[tuple[Callable[[int], str], int]] = [
    (lambda size: "{" * size, 120_000),
    (lambda size: '{"a":' * size, 24_000),
    (lambda size: '{"a":' * (size // 100) + "[" + "0," * size, 100_000),
    (lambda size: '{"a":' * (size // 200) + '"' + "x" * size, 200_000),
    (lambda size: '{"a":[' * size, 20_000),
    (lambda size: '{"{' * size, 40_000),
    (lambda size: ("{" + " " * size) * 50, 20_000),
    (lambda size: ("{" + " " * 200) * size, 5_000),
    (lambda size: '{"\\n' * size, 24_000),
]


@pytest.mark.parametrize(("answer", "size"), HOSTILE)
def test_time_grows_with_the_length_only(answer: Callable[[int], str], size: int) -> None:
    def read(text: str) -> None:
        assert read_answer(text).objects == ()

    check_growth(read, lambda size: answer(size) + '"]', size)


async def test_the_last_object_that_has_the_form_counts() -> None:
    form = {"completion": "json", "output_schema": SCHEMA}
    passed = Evidence(
        "contract", "passed", "the answer has its form and agrees with what was measured"
    )
    both = '{"ok": true} and then {"note": "x"} and {}'
    assert await judged(both, **form) == replace(passed, answer={"ok": True})
    assert await judged('{"any": 1}', completion="json") == replace(passed, answer={"any": 1})
    evidence = await judged('{"ok": false}', completion="message", output_schema=SCHEMA)
    assert evidence == replace(passed, answer={"ok": False})


async def test_no_object_fails_and_says_how_to_answer() -> None:
    evidence = await judged("All done.", completion="json", output_schema=SCHEMA)
    assert evidence == Evidence(
        "contract",
        "failed",
        "the answer holds no valid JSON object",
        "The answer: there is no JSON object in it.\n"
        "Answer again with one whole JSON object of this form (`?`: may be left out):\n"
        '{\n  "ok": boolean\n}',
    )


async def test_an_object_of_another_form_fails_by_place() -> None:
    evidence = await judged('{"ok": "yes"}', completion="json", output_schema=SCHEMA)
    assert (evidence.status, evidence.summary) == (
        "failed",
        "the JSON object has 1 problem: ok is not of type boolean",
    )
    assert evidence.detail.startswith("ok is not of type boolean\nAnswer again with one whole")
    cut = await judged('{"ok": tru', completion="json")
    assert cut.detail.startswith("The answer: Expecting value (line 1 of the answer).")


REPORT = "# Report\n\n## Implemented\n- [x] a\n### tests\n**Promises  Verified**\n## Notes:\n- none"


async def test_a_report_needs_its_sections() -> None:
    passed = Evidence("contract", "passed", "the report has all its sections")
    assert await judged(REPORT, completion="report") == passed
    assert await judged(f"```\n{REPORT}\n```", completion="report") == passed

    evidence = await judged("## Implemented\nall\n## Testsuite\nNotes", completion="report")
    assert evidence == Evidence(
        "contract",
        "failed",
        "the report lacks Tests, Promises Verified, Notes",
        "Give the whole report again, with these headings:\n"
        "## Implemented\n## Tests\n## Promises Verified\n## Notes",
    )


async def test_other_prompts_promise_no_form() -> None:
    skipped = Evidence("contract", "skipped", "the prompt asks for no answer of a certain form")
    assert await judged("x") == skipped
    assert await judged("", completion="marker") == skipped
    assert await judged("x", commits="none") == skipped
    assert (await judged(" ", commits="none")).status == "failed"


def answer(**parts: Any) -> str:
    return json.dumps({
        "implementation": {"summary": "x"},
        "files": [],
        "verification": {"typecheck": "not_run", "tests": "not_run", "lint": "not_run"},
        **parts,
    })


async def compared(
    text: str,
    *commits: tuple[Change, ...],
    measured: tuple[Evidence, ...] = GREEN,
    packages: tuple[str, ...] | None = None,
) -> Evidence:
    return await ContractAudit(BACKEND, packages).compare(candidate(text, *commits), measured)


async def test_true_claims_in_any_form_of_path_leave_no_notice() -> None:
    text = answer(
        files=[
            {"path": "/workspace/src/a.ts", "action": "create"},
            {"path": "./src/b.ts", "action": "modify"},
            {"path": "D:\\code\\project\\src\\c.ts", "action": "delete"},
            {"path": "/home/me/project/tests/a.test.ts", "action": "create"},
        ],
        tests=[{"file": "/workspace/tests/a.test.ts"}],
        dependencies={"added": ["@Scope/Pkg@^1.2", "my_lib>=2"]},
        database={"schemaChanges": False, "migrationRequired": False},
        verification={"typecheck": "pass", "tests": "pass", "lint": "pass"},
    )
    changes = (
        change("A", "src/a.ts"),
        change("M", "src/b.ts"),
        change("D", "src/c.ts"),
        change("A", "tests/a.test.ts"),
    )
    assert await compared(text, changes, packages=("@scope/pkg", "my-lib")) == Evidence(
        "contract",
        "passed",
        "the answer has its form and agrees with what was measured",
        answer=json.loads(text),
    )


async def test_every_other_difference_is_named_and_does_not_fail() -> None:
    text = answer(
        files=[
            {"path": "src/a.ts", "action": "create"},
            {"path": "../src/none.ts", "action": "modify"},
        ],
        tests=[{"file": "tests/none.test.ts"}],
        dependencies={"added": ["left-pad"]},
        database={"migrationRequired": True},
        verification={"typecheck": "pass", "tests": "fail", "lint": "not_run"},
    )
    measured = (Evidence("build:test", "passed", ""),)
    evidence = await compared(
        text,
        (change("M", "src/a.ts"), change("A", "src/b.ts")),
        measured=measured,
        packages=("zod",),
    )
    assert evidence == Evidence(
        "contract",
        "passed",
        "the answer has its form; 9 differences",
        notices=(
            "claims that typecheck passed; no gate measures it",
            "claims that tests failed; the gate test passed",
            "claims to have created src/a.ts; git says modified",
            "claims to have modified ../src/none.ts, which no commit changes",
            "does not name src/b.ts, which was created",
            "claims the test file tests/none.test.ts, which no commit changes",
            "claims to have added the package left-pad; it was not",
            "does not name the added package zod",
            "claims a change of the database's schema; no file of a migration folder changed",
        ),
        answer=json.loads(text),
    )


async def test_a_migration_that_is_kept_quiet_is_named() -> None:
    path = "db/migrations/001.sql"
    text = answer(files=[{"path": path, "action": "create"}], database={"migrationRequired": False})
    evidence = await compared(text, (change("A", path),))
    assert evidence.notices == (f"claims no change of the database's schema; {path} changed",)


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        ("failed", "exit code 1", "the gate eslint failed"),
        ("skipped", "left to CI", "the gate eslint was not run (left to CI)"),
    ],
)
async def test_a_pass_over_a_gate_that_did_not_pass_fails(
    status: Any, reason: str, said: str
) -> None:
    text = answer(verification={"typecheck": "pass", "tests": "pass", "lint": "pass"})
    measured = (*GREEN[:-1], Evidence("build:eslint", status, reason))
    claim = f"claims that lint passed; {said}"
    assert await compared(text, measured=measured) == Evidence(
        "contract",
        "failed",
        claim,
        f"{claim}\nAnswer again with one whole JSON object that says what is true.",
    )
    honest = answer(verification={"typecheck": "pass", "tests": "pass", "lint": "not_run"})
    assert (await compared(honest, measured=measured)).status == "passed"


@pytest.mark.parametrize(
    ("key", "gate"),
    [
        ("typecheck", "tsc"), ("types", "mypy"), ("typeCheck", "pyright"), ("tests", "vitest"),
        ("unit_tests", "pytest"), ("test", "web-test"), ("lint_passed", "ruff"),
        ("linting", "lint:web"), ("build_passed", "compile"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["pass", "Passed (12 of 12)", True, "ok", {"status": "success"}])
async def test_a_claim_finds_its_gate_by_name(key: str, gate: str, value: Any) -> None:
    measured = (Evidence(f"build:{gate}", "failed", "exit code 1"),)
    said = candidate(json.dumps({"verification": {key: value}}))
    evidence = await ContractAudit(Profile(completion="json")).compare(said, measured)
    assert evidence.status == "failed"
    assert evidence.summary.endswith(f"the gate {gate} failed")


async def test_reports_of_another_tool_are_read_too() -> None:
    text = json.dumps({
        "files_created": ["a.py", 3],
        "files": {"modified": ["b.py"], "deleted": "c.py"},
        "quality": {"lint_passed": "N/A - none", "tests_passed": None},
        "tests": "all",
        "dependencies": ["x"],
        "database": 7,
    })
    audit = ContractAudit(Profile(completion="json"), packages=())
    changes = (change("A", "a.py"), change("M", "b.py"))
    assert (await audit.compare(candidate(text, changes), GREEN)).notices == ()


async def test_differences_are_bounded_and_harmless() -> None:
    files = [{"path": f"x{number}\x1b[2J\n", "action": "create"} for number in range(5000)]
    evidence = await compared(answer(files=files))
    assert len(evidence.notices) == LISTED + 1
    assert evidence.notices[-1] == "and 990 more such differences"
    assert not any("\x1b" in notice or "\n" in notice for notice in evidence.notices)


def test_what_all_commits_together_did() -> None:
    first = (change("A", "a"), change("A", "b"), change("D", "c"), change("M", "d"))
    second = (change("D", "a"), change("M", "b"), change("A", "c"), change("D", "d"))
    assert changed_paths(candidate("", first, second)) == {
        "b": "created",
        "c": "modified",
        "d": "deleted",
    }
