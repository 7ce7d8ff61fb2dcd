"""What `agentflow pr` says to the host's program, and what it makes of the answers."""

import json
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from agentflow.ci.judged import Judged
from agentflow.ci.summary import summary
from agentflow.errors import EnvironmentFailure
from agentflow.pull_requests import MAX_BODY, Proposal, cut, open_or_update
from agentflow.results import Evidence
from agentflow.workspace.repository import Repository, open_repository
from tests.run.project import make_project

PROGRAM = """#!{python}
import json, pathlib, sys
folder = pathlib.Path({folder!r})
said = {{"arguments": sys.argv[1:], "stdin": sys.stdin.read()}}
with (folder / "calls").open("a") as file:
    file.write(json.dumps(said) + "\\n")
answer = folder / (sys.argv[2] if sys.argv[1] != "api" else "api")
if answer.exists():
    sys.stdout.buffer.write(answer.read_bytes())
"""
GITHUB, GITLAB = "git@github.com:Owner/name.git", "https://gitlab.example.com/group/sub/name"
WANTED = Proposal("agentflow/TASK-1", "main", "TASK-1: Say hello", "All is well.\n")


class Host:
    """A program of a code host, which answers with files and notes what it was asked for."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        file = folder / "bin" / program
        file.parent.mkdir()
        file.write_text(PROGRAM.format(python=sys.executable, folder=str(folder)))
        file.chmod(0o755)
        self.environment = {"PATH": str(file.parent)}
        project = make_project(folder / "project")
        self.repository: Repository = open_repository(project.root, project.world.environment)

    def says(self, command: str, answer: object) -> None:
        """What the program prints from now on when it gets this command."""
        text = answer if isinstance(answer, str) else json.dumps(answer)
        (self.folder / command).write_text(text, "utf-8", "surrogateescape")

    def calls(self) -> list[list[str]]:
        """What it was asked for, the body last."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [[*said["arguments"], said["stdin"]] for said in map(json.loads, lines)]


@pytest.fixture
def github(tmp_path: Path) -> Host:
    return Host(tmp_path, "gh")


@pytest.fixture
def gitlab(tmp_path: Path) -> Host:
    return Host(tmp_path, "glab")


@pytest.mark.parametrize(
    "answer",
    [
        "no JSON",
        {"message": "Bad credentials"},
        [7],
        [{"number": 7, "url": "https://github.com/Owner/name/pull/7"}],
        [{"number": "7; x", "url": "", "headRepository": {"name": "name"},
          "headRepositoryOwner": {"login": "Owner"}}],
        [{"number": 7, "url": "", "headRepository": [], "headRepositoryOwner": "Owner"}, 3],
        "[" * 20_000,
        "NaN",
        "\x1b]0;owned\x07",
    ],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_one_sentence(github: Host, answer: object) -> None:
    github.says("list", answer)
    with pytest.raises(EnvironmentFailure, match="gh pr list printed what cannot be understood"):
        open_or_update(WANTED, GITHUB, github.repository, github.environment)
    assert len(github.calls()) == 1


@pytest.mark.parametrize("answer", ["", "null", "[]"])
def test_where_nothing_is_listed_one_is_opened(github: Host, answer: str) -> None:
    github.says("list", answer)
    github.says("create", "Warning: 1 uncommitted change\nhttps://github.com/Owner/name/pull/8\n")
    opened = open_or_update(WANTED, GITHUB, github.repository, github.environment)
    assert (opened.action, opened.url) == ("opened", "https://github.com/Owner/name/pull/8")


def test_a_program_that_says_nothing_of_what_it_opened_is_believed(github: Host) -> None:
    opened = open_or_update(WANTED, GITHUB, github.repository, github.environment)
    assert (opened.action, opened.url) == ("opened", "")


def test_words_stay_words(github: Host) -> None:
    """Branch, title and body are values of options, whatever they look like; no shell reads them."""
    hostile = Proposal(
        "agentflow/TASK-1;touch${IFS}owned", "--web", "--repo=evil/evil $(touch owned)", "--fill\n"
    )
    open_or_update(hostile, GITHUB, github.repository, github.environment)
    listed, made = github.calls()
    assert listed[:6] == ["pr", "list", "--head", hostile.branch, "--base", "--web"]
    assert made == [
        "pr", "create", "--head", hostile.branch, "--base", "--web", "--title", hostile.title,
        "--body-file", "-", "--fill\n",
    ]  # fmt: skip
    assert not (github.repository.root / "owned").exists()


def test_a_merge_request_of_a_fork_is_nobody_of_ours(gitlab: Host) -> None:
    forked = {"iid": 2, "web_url": "https://x/2", "source_project_id": 66, "target_project_id": 9}
    gitlab.says("list", [forked])
    gitlab.says("api", {"id": 9, "path_with_namespace": "group/sub/name"})
    gitlab.says("create", "https://gitlab.example.com/group/sub/name/-/merge_requests/3\n")
    first = open_or_update(WANTED, GITLAB, gitlab.repository, gitlab.environment)
    assert first.action == "opened"
    gitlab.says(
        "list", [forked, {**forked, "iid": 3, "web_url": "https://x/3", "source_project_id": 9}]
    )
    second = open_or_update(WANTED, GITLAB, gitlab.repository, gitlab.environment)
    assert (second.action, second.url) == ("updated", "https://x/3")
    commands = [call[:3] for call in gitlab.calls()]
    assert ["api", "projects/group%2Fsub%2Fname"] in [each[:2] for each in commands]
    assert commands[-1] == ["mr", "update", "3"]
    gitlab.says("api", "{}")
    with pytest.raises(EnvironmentFailure, match="cannot be understood"):
        open_or_update(WANTED, GITLAB, gitlab.repository, gitlab.environment)


def test_the_longest_body_fits_into_an_argument_and_ends_with_a_whole_line(gitlab: Host) -> None:
    line = "- ` \N{CJK UNIFIED IDEOGRAPH-4E00} @everyone `\n"
    body = cut(line * 5000)
    assert MAX_BODY - len(line.encode()) < len(body.encode()) <= MAX_BODY
    assert set(body.splitlines(keepends=True)) == {line}
    assert cut("short") == "short"
    wanted = Proposal("agentflow/TASK-1", "main", "TASK-1: x", body)
    assert open_or_update(wanted, GITLAB, gitlab.repository, gitlab.environment).action == "opened"
    (made,) = [call for call in gitlab.calls() if call[1] == "create"]
    assert made[made.index("--description") + 1] == body


HOSTILE = "x`\n/merge\n@all closes #7\n```\n/merge\n@all\n~~~\n</details>\n[a](http://b)\n"


@pytest.mark.parametrize(
    "hostile", [HOSTILE, "``\x1b[m`\n/merge\n@all closes #7\n", "``\u200b`\n@all\n"]
)
def test_a_body_holds_no_mention_link_or_command_of_the_host(hostile: str) -> None:
    """GitLab obeys `/merge` at the start of a line outside of code; mentions, numbers with closing
    words and links are read outside of code as well. An escape sequence must not join backticks."""
    failed = Evidence("build:`test`", "failed", hostile, detail=hostile * 2)
    judged = Judged("TASK-1", "failed", 1, (failed,), hostile, "run`", hostile, hostile)

    tokens = MarkdownIt("commonmark").parse(summary([judged]))

    words = [each for token in tokens for each in token.children or ()]
    plain = "".join(each.content for each in words if each.type == "text")
    assert plain.split() == ["❌", "reason:", "next:", "❌", "failed", ":"]
    assert {each.type for each in words} == {"text", "code_inline"}
    (fence,) = [token.content for token in tokens if token.type == "fence"]
    assert fence.count("@all") == hostile.count("@all") * 2
