"""The tamper gate: what weakens the measure, per runner, and what does not."""

import pytest

from agentflow.gates.runners import SKIPS, holds_tests, is_gate_input, is_test
from agentflow.gates.tamper import TamperGate, touched_measures
from agentflow.records import Boundaries
from agentflow.results import Evidence
from tests.workspace.place import Work


async def measure(work: Work, script: str, *allow: str) -> Evidence:
    candidate = work.candidate(script)
    return await TamperGate(work.state, Boundaries(allow)).measure(candidate)


def problems(evidence: Evidence) -> list[str]:
    assert evidence.status == "failed"
    *found, advice = evidence.detail.splitlines()
    assert "only a task whose `allow` names the path itself" in advice
    return found


async def test_honest_work_passes(work: Work) -> None:
    evidence = await measure(
        work, "echo x > app/x; echo 'def test_new(): pass' > tests/test_new.py"
    )

    assert evidence == Evidence("tamper", "passed", "no test was weakened")


async def test_a_changed_test_is_a_notice(work: Work) -> None:
    evidence = await measure(work, "echo '# more' >> tests/test_main.py")

    assert (evidence.status, evidence.notices) == ("passed", ("changed test: tests/test_main.py",))


async def test_deleted_and_emptied_into_the_open(work: Work) -> None:
    evidence = await measure(work, "rm tests/test_main.py; git rm -q 'pages/[id]/page.test.ts'")

    assert evidence.summary == "2 problems"
    assert problems(evidence) == [
        "deleted test: pages/[id]/page.test.ts",
        "deleted test: tests/test_main.py",
    ]


async def test_a_moved_test_is_a_notice_and_one_moved_out_of_sight_is_deleted(work: Work) -> None:
    moved = await measure(work, "mkdir tests/unit; git mv tests/test_main.py tests/unit/")
    assert (moved.status, moved.notices) == ("passed", ("moved test: tests/test_main.py",))

    hidden = await measure(work, "git reset -q --hard; git mv tests/unit/test_main.py app/old.txt"
                                 " 2>/dev/null || git mv tests/test_main.py app/old.txt")  # fmt: skip
    assert problems(hidden) == ["deleted test: tests/test_main.py"]


@pytest.mark.parametrize("path", ["pyproject.toml", "Makefile", "web/package.json"])
async def test_a_changed_gate_input_fails_unless_the_task_names_it(work: Work, path: str) -> None:
    script = f"echo x >> {path}"

    assert problems(await measure(work, script)) == [f"changed gate input: {path}"]
    assert problems(await measure(work, "true", "**")) == [f"changed gate input: {path}"]
    assert (await measure(work, "true", path)).status == "passed"


@pytest.mark.parametrize("path", ["tests/conftest.py", "sitecustomize.py", "pytest.ini"])
async def test_a_new_gate_input_in_an_old_folder_fails(work: Work, path: str) -> None:
    assert problems(await measure(work, f"echo x > {path}")) == [f"changed gate input: {path}"]


async def test_a_new_gate_input_in_a_new_folder_is_a_notice(work: Work) -> None:
    script = "mkdir -p web/new; echo '{}' > web/new/package.json"
    evidence = await measure(work, script)

    assert evidence.status == "passed"
    assert evidence.notices == ("new gate input in a new folder: web/new/package.json",)
    candidate = work.candidate("true")
    assert touched_measures(work.state, candidate, Boundaries()) == ()


@pytest.mark.parametrize(
    ("path", "line", "runner"),
    [
        ("tests/test_main.py", "@pytest.mark.skip(reason='x')", "pytest, unittest"),
        ("tests/test_main.py", "@pytest.mark.xfail", "pytest, unittest"),
        ("tests/test_main.py", "pytestmark = [pytest.mark.slow, pytest.mark.skipif(True)]",
         "pytest, unittest"),
        ("tests/test_new.py", "@unittest.skipUnless(False, 'x')", "pytest, unittest"),
        ("tests/test_new.py", "@unittest.expectedFailure", "pytest, unittest"),
        ("tests/test_new.py", "raise unittest.SkipTest", "pytest, unittest"),
        ("tests/test_new.py", "    self.skipTest('x')", "pytest, unittest"),
        ("tests/test_new.py", "__test__ = False", "pytest, unittest"),
        ("web/app.test.js", "describe.only('x', f)", "jest, vitest, mocha"),
        ("web/new.spec.tsx", "xit('x', f)", "jest, vitest, mocha"),
        ("pages/[id]/page.test.ts", "test.todo('x')", "jest, vitest, mocha"),
        ("app/x_test.go", "\tt.Skip()", "go test"),
        ("app/x_test.go", "//go:build ignore", "go test"),
        ("app/lib.rs", "#[ignore]", "cargo test"),
        ("src/test/java/XTest.java", "@Disabled", "junit"),
        ("spec/x_spec.rb", "  skip 'later'", "rspec, minitest"),
        ("spec/x_spec.rb", "xit 'works' do", "rspec, minitest"),
        ("spec/x_spec.rb", "it 'works', :focus do", "rspec, minitest"),
    ],
)  # fmt: skip
async def test_added_markers_fail(work: Work, path: str, line: str, runner: str) -> None:
    script = f"mkdir -p \"$(dirname '{path}')\"; cat >> '{path}' <<'X'\n{line}\nX"

    assert problems(await measure(work, script)) == [
        f"added skip or only marker ({runner}): {line.strip()}"
    ]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("tests/test_new.py", "pytestmark = pytest.mark.asyncio"),
        ("tests/test_new.py", "# do not skip this"),
        ("web/new.test.js", "it('skips nothing', only)"),
        ("spec/x_spec.rb", "it 'does not skip a pending order' do"),
        ("app/x_test.go", "//go:build linux"),
        ("src/test/java/XTest.java", "@JsonIgnore"),
        ("app/main.py", "@pytest.mark.skip"),
    ],
)
async def test_what_only_looks_like_one_passes(work: Work, path: str, line: str) -> None:
    script = f"mkdir -p \"$(dirname '{path}')\"; cat >> '{path}' <<'X'\n{line}\nX"

    assert (await measure(work, script)).status == "passed"


async def test_markers_that_were_there_may_move_and_go(work: Work) -> None:
    script = "git mv tests/test_skipped.py tests/test_later.py; echo '#' >> tests/test_later.py"
    assert problems(await measure(work, script)) == ["deleted test: tests/test_skipped.py"]

    script = "git reset -q --hard; sed -i '1i # a line' tests/test_skipped.py"
    assert (await measure(work, f"{script}; echo > web/app.test.js")).status == "passed"

    doubled = "cat tests/test_skipped.py >> tests/test_main.py"
    evidence = await measure(work, doubled)
    told = "added skip or only marker (pytest, unittest): @pytest.mark.skip"
    assert problems(evidence) == [told]
    (fault,) = evidence.faults
    assert (fault.text, fault.path) == (told, "tests/test_main.py")
    assert fault.line > 1


async def test_a_zero_byte_hides_no_marker(work: Work) -> None:
    evidence = await measure(work, r"printf 'it.only()\n\0' >> web/app.test.js")

    assert problems(evidence) == ["added skip or only marker (jest, vitest, mocha): it.only()"]


def test_measures_that_were_touched(work: Work) -> None:
    candidate = work.candidate(
        "rm tests/test_skipped.py; echo x >> tests/test_main.py; echo x > tests/test_new.py; "
        "echo x >> Makefile; echo x > tests/conftest.py; echo x >> app/main.py"
    )

    touched = touched_measures(work.state, candidate, Boundaries(("app", "Makefile")))

    assert touched == ("tests/conftest.py", "tests/test_main.py", "tests/test_skipped.py")


@pytest.mark.parametrize(
    "path",
    [
        "test_x.py", "a/x_test.py", "tests/data/x.json", "app/tests.py", "a/__tests__/x.js",
        "a/x.test.tsx", "a/x.spec.mjs", "x_test.go", "x_spec.rb", "XTest.java", "a/XTests.cs",
        "src/test/resources/x", "x_test.exs", "a/x.cy.ts",
    ],
)  # fmt: skip
def test_tests(path: str) -> None:
    assert is_test(path)
    assert holds_tests(path)
    assert not is_gate_input(path)


@pytest.mark.parametrize(
    "path",
    [
        "conftest.py", "a/conftest.py", "pytest.ini", "package.json", "a/tsconfig.build.json",
        "vitest.config.ts", "Makefile", "a/rules.mk", "tests/conftest.py", "build.gradle.kts",
    ],
)  # fmt: skip
def test_gate_inputs(path: str) -> None:
    assert is_gate_input(path)
    assert not is_test(path)


@pytest.mark.parametrize("path", ["app/main.py", "contest.py", "attest.go", "latest.js", "README"])
def test_neither(path: str) -> None:
    assert not is_test(path)
    assert not is_gate_input(path)


def test_every_runner_has_a_marker_of_its_own() -> None:
    assert len({files for files, _ in SKIPS.values()}) == len(SKIPS)
