"""`--junit`, `--sarif`, the job's summary and annotations, of commands as processes."""

import json
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest

from tests.cli.shell import Shell

EVIL = "::error::@ada"


@pytest.mark.sandbox
@pytest.mark.usefixtures("bwrap")
def test_what_verify_finds_is_published(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    project = shell.project
    project.git("checkout", "-q", "-b", "feature")
    project.write(
        "tests/test_main.py", f"import pytest\n\n# {EVIL}\n@pytest.mark.skip\ndef test(): pass\n"
    )
    project.write("app/main.py", "x = 1\n")
    project.commit("by hand")
    project.git("checkout", "-q", "main")
    files = {name: tmp_path / name for name in ("junit.xml", "found.sarif", "summary.md")}

    ended = shell.run(
        "verify", "feature", "--gate", f"test=echo '{EVIL}'; false", "--allow", "tests/**",
        "--junit", str(files["junit.xml"]), "--sarif", str(files["found.sarif"]),
        GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(files["summary.md"]),
    )  # fmt: skip

    assert ended.returncode == 1, ended.stderr
    failed = [case.get("name") for case in parse(files["junit.xml"]).iter("testcase") if len(case)]
    assert failed[:2] == ["commit", "boundaries"]
    results = json.loads(files["found.sarif"].read_text())["runs"][0]["results"]
    place = results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert (results[0]["ruleId"], place) == ("boundaries", "app/main.py")
    assert "❌ failed ` boundaries `" in files["summary.md"].read_text()
    commands = [line for line in ended.stderr.splitlines() if line.startswith("::")]
    assert [line.split("::")[1] for line in commands] == [
        "error file=app/main.py,line=1,title=feature%3A boundaries",
    ]

    narrowed = shell.run(
        "verify", "feature", "--gate", "test=true", "--sarif", str(files["found.sarif"]),
    )  # fmt: skip

    assert narrowed.returncode == 1, narrowed.stderr
    (found,) = json.loads(files["found.sarif"].read_text())["runs"][0]["results"]
    assert found["ruleId"] == "tamper"
    assert found["locations"][0]["physicalLocation"]["region"] == {"startLine": 4}


def test_what_is_refused_is_published_too(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    file = tmp_path / "junit.xml"

    ended = shell.run("run", "TASK-9", "--junit", str(file), GITHUB_ACTIONS="true")

    assert ended.returncode == 2
    (suite,) = parse(file).iter("testsuite")
    assert (suite.get("name"), suite.get("errors")) == ("TASK-9", "1")
    assert ended.stderr.startswith("::error title=TASK-9%3A usage::")


def test_a_file_that_cannot_be_written_is_refused_before_anything(tmp_path: Path) -> None:
    ended = Shell(tmp_path).run("run", "TASK-1", "--sarif", str(tmp_path / "no/found.sarif"))
    assert ended.returncode == 2
    assert "found.sarif cannot be written" in ended.stderr
