"""The checklist audit: which boxes count, what measures them, and what the agent may only claim."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from agentflow.gates.checklist import MAX_ITEMS, ChecklistAudit, Item, checklist
from agentflow.gates.looks import asked_looks
from agentflow.gates.secrets import SecretsGate
from agentflow.results import Candidate, Criterion, Evidence
from tests.growth import check_growth
from tests.workspace.place import Work

GREEN = (
    Evidence("commit", "passed", "1 commit"),
    Evidence("secrets", "passed", "no secret was added"),
    Evidence("build:unit", "passed", ""),
    Evidence("build:eslint", "passed", ""),
    Evidence("build:e2e-smoke", "skipped", "left to CI"),
)
PROMPT = """
# Style
- [ ] Only for the reader
## Security Checklist
- [ ] No secrets in code
## Launch Readiness Checklist
- [ ] DNS is switched
**Definition of Done**
- [x] Unit tests for service methods
# Output
- [ ] Not this one
"""


def test_the_boxes_of_a_task_and_those_of_a_prompt_that_are_for_every_task() -> None:
    task = """
- [ ] **Answers 404** for `x`
* [X] Done already
  1. [ ] Numbered, indented
> - [ ] Quoted
- [] no box
- [ ]
[ ] no list
```
- [ ] in a fence
~~~
- [ ] still in it
```
~~~~ text
- [ ] in another
~~~
- [ ] still
~~~~
- [ ] no SECRETS, in: code
"""
    assert checklist(task, PROMPT) == (
        Item("**Answers 404** for `x`", of_task=True),
        Item("Done already", of_task=True),
        Item("Numbered, indented", of_task=True),
        Item("Quoted", of_task=True),
        Item("no SECRETS, in: code", of_task=True),
        Item("Unit tests for service methods", of_task=False),
    )
    assert checklist("text", "body\n- [ ] x") == ()


async def judged(
    boxes: str,
    work: Work,
    candidate: Candidate,
    measured: Sequence[Evidence] = GREEN,
    *,
    prompt: str = "",
    gates: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Evidence:
    audit = ChecklistAudit(boxes, prompt, work.state, gates or {}, strict)
    return await audit.compare(candidate, measured)


def states(evidence: Evidence) -> dict[str, tuple[str, str]]:
    return {c.text: (c.state, c.by) for c in evidence.criteria}


@pytest.fixture
def nothing(work: Work) -> Candidate:
    """A candidate without a change, and with an answer."""
    answer = "I did this:\n- [x] Answers `404` for X.\n- [ ] logs every call\n* rate limiting"
    return Candidate(work.base, work.base, answer=answer)


async def test_without_boxes_there_is_nothing_to_judge(work: Work, nothing: Candidate) -> None:
    assert await judged("Do it.", work, nothing) == Evidence(
        "checklist", "skipped", "neither task nor prompt has a checklist"
    )


async def test_claimed_and_unaddressed_boxes_do_not_fail_but_with_strict(
    work: Work, nothing: Candidate
) -> None:
    boxes = (
        "- [ ] **Answers 404 for x**\n- [ ] Logs every call\n- [ ] Rate limiting\n- [x] Tests pass"
    )
    evidence = await judged(boxes, work, nothing)
    assert evidence == Evidence(
        "checklist",
        "passed",
        "4 criteria: 1 met, 2 claimed, 1 unaddressed",
        criteria=(
            Criterion("**Answers 404 for x**", "claimed"),
            Criterion("Logs every call", "unaddressed"),
            Criterion("Rate limiting", "claimed"),
            Criterion("Tests pass", "met", "build:unit"),
        ),
    )
    strict = await judged(boxes, work, nothing, strict=True)
    assert (strict.status, strict.criteria) == ("failed", evidence.criteria)
    assert strict.detail == (
        "Logs every call: not addressed; do it, and say so in your last message"
    )


@pytest.mark.parametrize(
    ("box", "state", "by"),
    [
        ("All existing tests pass", "met", "build:unit"),
        ("No lint errors, and `npm run test` passes", "met", "build:unit, build:eslint"),
        ("`pytest -q` is green", "met", "build:unit"),
        ("No lint or build errors", "unaddressed", ""),
        ("Typecheck passes", "unaddressed", ""),
        ("Tests pass for every tenant", "unaddressed", ""),
        ("The build button is green", "unaddressed", ""),
        ("No hardcoded secrets", "met", "secrets"),
        ("No token is returned", "unaddressed", ""),
        ("No secrets logged", "unaddressed", ""),
    ],
)
async def test_boxes_that_a_gate_measures(
    work: Work, nothing: Candidate, box: str, state: str, by: str
) -> None:
    assert states(await judged(f"- [ ] {box}", work, nothing)) == {box: (state, by)}


async def test_a_red_gate_makes_its_boxes_unmet(work: Work, nothing: Candidate) -> None:
    red = (*GREEN[:3], Evidence("build:eslint", "failed", "exit code 1"))
    evidence = await judged("- [ ] No lint errors; tests pass", work, nothing, red)
    assert states(evidence) == {"No lint errors; tests pass": ("unmet", "build:eslint")}
    assert (evidence.status, evidence.summary) == ("failed", "1 criterion: 1 unmet")
    assert evidence.detail == "No lint errors; tests pass: not met, measured by build:eslint"


async def test_configured_words_name_a_gate(work: Work, nothing: Candidate) -> None:
    gates = {"contract tests": "unit", "p95 latency": "load", "smoke": "build:e2e-smoke"}
    boxes = (
        "- [ ] The Contract-tests hold\n- [ ] contract tests: new\n- [ ] P95 latency < 1 s\n"
        "- [ ] smoke works\n- [ ] smokeless"
    )
    evidence = await judged(boxes, work, nothing, gates=gates)
    assert [(c.state, c.by) for c in evidence.criteria] == [
        ("unaddressed", ""),
        ("met", "build:unit"),
        *[("unaddressed", "")] * 3,
    ]
    assert evidence.notices == (
        "the gate load, which [checklist] names, was not run",
        "the gate build:e2e-smoke, which [checklist] names, was not run",
    )


CLEAN = """
    mkdir -p src; printf 'const x: unknown = 1; // any: any;\\n' > src/a.ts
    printf 'const s = \"x as any;\"\\n * TODOS\\n' >> src/a.ts
    echo '- TODO: document' > docs/new.md
    echo 'print(1)' > tests/test_print.py
"""


@pytest.mark.parametrize(
    ("box", "by", "dirty", "place"),
    [
        ("No `any` types", "no new any", "echo 'let a: any;' >> src/a.ts", "src/a.ts:4"),
        ("no new any", "no new any", "echo 'f(<any>x as any)' > src/b.tsx", "src/b.tsx:1"),
        ("No `any`", "no new any", "echo 'a: Map<string, any> = 1' > src/b.ts", "src/b.ts:1"),
        (
            "No `@ts-ignore`",
            "no new ignore comments",
            "printf '\\n// @ts-ignore\\n' > src/b.ts",
            "src/b.ts:2",
        ),
        (
            "No new `# type: ignore`",
            "no new ignore comments",
            "echo 'x = f()  # type: ignore[x]' >> app/main.py",
            "app/main.py:3",
        ),
        ("No TODO/FIXME", "no TODO added", "echo '# FIXME later' >> app/main.py", "app/main.py:3"),
        ("No new TODOs", "no TODO added", "echo '// TODO' > src/b.go", "src/b.go:1"),
        (
            "No console.log left",
            "no debugging output added",
            "echo 'console.log(1)' > src/b.js",
            "src/b.js:1",
        ),
        (
            "No leftover print statements",
            "no debugging output added",
            "echo '  print(x)' > app/b.py",
            "app/b.py:1",
        ),
    ],
)
async def test_looks_at_the_added_lines(
    work: Work, box: str, by: str, dirty: str, place: str
) -> None:
    clean = await judged(f"- [ ] {box}", work, work.candidate(CLEAN))
    assert states(clean) == {box: ("met", by)}

    evidence = await judged(f"- [ ] {box}", work, work.candidate(dirty))
    assert (evidence.status, states(evidence)) == ("failed", {box: ("unmet", by)})
    assert evidence.detail == f"{box}: not met, measured by {by} ({place})"


async def test_lines_that_stood_there_before_are_not_new(work: Work) -> None:
    work.agent("printf '# TODO a\\nx\\ny\\n' > app/a.py; git add -A; git commit -qm a")
    before = work.collect(commits="agent")
    work.agent("printf 'new\\ny\\n# TODO a\\nx\\n' > app/a.py; git add -A; git commit -qm b")
    after = work.collect(commits="agent")
    assert (await judged("- [ ] No TODOs", work, before)).status == "failed"
    later = Candidate(before.tip, after.tip, after.commits[1:])
    assert (await judged("- [ ] No TODOs", work, later)).status == "passed"


async def test_tests_in_the_diff(work: Work, nothing: Candidate) -> None:
    box = "Unit tests cover each error"
    done = work.candidate("echo '# more' >> tests/test_main.py")
    assert states(await judged(f"- [ ] {box}", work, done)) == {box: ("met", "tests in the diff")}

    asked = await judged(f"- [ ] {box}", work, nothing)
    assert states(asked) == {box: ("unmet", "tests in the diff")}

    of_every_task = f"## Completion Checklist\n- [ ] {box}"
    generic = await judged("Fix the typo.", work, nothing, prompt=of_every_task)
    assert states(generic) == {box: ("unaddressed", "")}


async def test_a_deleted_test_is_no_test_in_the_diff(work: Work) -> None:
    gone = work.candidate("rm tests/test_main.py; echo x > app/x.py")
    assert (await judged("- [ ] Add tests for x", work, gone)).status == "failed"
    inline = work.candidate("printf '#[test]\\nfn b() {}\\n' >> app/lib.rs")
    assert (await judged("- [ ] Tests for x exist", work, inline)).status == "passed"


async def test_the_secrets_gate_answers_for_its_box(work: Work) -> None:
    token = "ghp_" + "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8" + "cF0iL3oR5"
    leaking = work.candidate(f"echo {token} > app/x.py")
    found = await SecretsGate(work.state, ()).measure(leaking)
    evidence = await judged("- [ ] No secrets in the diff", work, leaking, (found,))
    assert evidence.detail == "No secrets in the diff: not met, measured by secrets"


@pytest.mark.parametrize(
    "box",
    [
        "No console errors", "No errors in any environment", "No test changes", "Tests fail first",
        "Test coverage over 90 %", "No debug mode in production", "Test rollback for failures",
        "Any user can delete", "Print statements are readable", "All TODOs from the plan are done",
    ],
)  # fmt: skip
def test_what_no_look_answers(box: str) -> None:
    assert asked_looks(Item(box, of_task=True).words) == ()


def hostile(size: int) -> str:
    boxes = [f"- [ ] {number} {'no ' * size}tests unit" for number in range(40)]
    short = [f"- [ ] box {number}\x1b[2J" for number in range(1000)]
    return "\n".join((*boxes, *short, "```" * 20 * size))


async def test_hostile_checklists_are_bounded(work: Work, nothing: Candidate) -> None:
    evidence = await judged(hostile(5000), work, nothing)
    assert len(evidence.criteria) == MAX_ITEMS
    assert all(len(c.text) <= 200 and "\x1b" not in c.text for c in evidence.criteria)


def test_time_grows_with_the_length_only(work: Work, nothing: Candidate) -> None:
    check_growth(lambda boxes: asyncio.run(judged(boxes, work, nothing)), hostile, 5000)


def test_a_box_goes_on_in_indented_lines() -> None:
    task = "- [ ] A limit is a number,\n      else 400.\n- [ ] Two\n\n      not of it\n- [ ] Three\n  - more"
    assert [item.text for item in checklist(task, "")] == [
        "A limit is a number, else 400.",
        "Two",
        "Three",
    ]
