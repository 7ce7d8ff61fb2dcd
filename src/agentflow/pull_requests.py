"""The pull request of a verified run: found or made with the host's own program, else told.

`gh` and `glab` have the user's login; agentflow has none.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import quote, urlencode

from agentflow.ci.judged import judged_of
from agentflow.ci.summary import summary
from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record
from agentflow.neutral import code_span, neutral, one_line
from agentflow.records import Json
from agentflow.request_contents import Contents
from agentflow.workspace.repository import Repository

TIMEOUT = 120.0
"""Seconds of one call."""
MAX_BODY = 60_000
"""Bytes; GitHub takes 65,536 characters, and Linux 128 KiB in one argument."""
MANY = "100"
"""Requests that are looked at: all with this branch's name, those of forks too."""
_ADDRESS = re.compile(
    r"(?:(?:https?|ssh|git)://)?(?:[^@/]+@)?(?P<host>[\w.-]+)(?::\d+)?[:/](?P<path>.+?)(?:\.git)?/?"
)


@record
class Proposal:
    """A pull request as it should be."""

    branch: str
    base: str
    """The branch that it is for."""
    title: str
    body: str
    draft: bool = False


@record
class Opened:
    """What became of it."""

    action: Literal["opened", "updated", "told"]
    url: str
    """Of the request, or where a person can open it; empty if that is not known."""


def proposal(
    contents: Contents, base: str, root: Repository, *, title: str | None, draft: bool
) -> Proposal:
    """The pull request of a run, its body from the verdict; of a document's batches with a list of
    them, of which the run did the newest."""
    found = contents.run
    report: Json = found.report
    body = (
        f"{summary(judged_of(report, root.root))}\n"
        f"Verified by agentflow: commit {code_span(found.tip)} on {code_span(found.base[:12])}.\n"
    )
    task, said = found.task, str(report.get("title") or found.task)
    if contents.is_document:
        names = list(dict.fromkeys(each.id for each in contents.batches))
        task = contents.wanted
        said = f"{'batch' if len(names) == 1 else 'batches'} {', '.join(names)}"
        lines = "".join(_lines(contents))
        body = f"Batches on this branch:\n\n{lines}\nThe newest:\n\n{body}"
    named = one_line(f"{task}: {title or said}", 200)
    return Proposal(found.branch, base, named, cut(body), draft)


def _lines(contents: Contents) -> Iterator[str]:
    for each in contents.batches:
        yield f"- batch {each.id}: {code_span(each.subject)} {code_span(each.commit[:12])}\n"
    for missing in contents.missing:
        run, outcome = code_span(missing.run), code_span(missing.outcome)
        yield f"- batch {missing.id} is not in it: its run {run} is {outcome}\n"


def cut(body: str) -> str:
    """The whole lines that fit: half a line might end in half a code span, where its rest is markup."""
    data = body.encode("utf-8", "replace")
    if len(data) <= MAX_BODY:
        return data.decode()
    return data[: data.rindex(b"\n", 0, MAX_BODY) + 1].decode()


def open_or_update(
    wanted: Proposal, url: str, root: Repository, environment: Mapping[str, str]
) -> Opened:
    """Update the branch's own open request, or open one. Raises `EnvironmentFailure` if the program fails."""
    host = _host(url)
    for program, act in (("gh", _with_gh), ("glab", _with_glab)):
        known = _KINDS[program] in host or (host and host == environment.get(_VARIABLES[program]))
        path = shutil.which(program, path=environment.get("PATH"))
        if known and path:
            return act(wanted, _Program(path, root, environment), _path(url))
    return Opened("told", compare_url(url, wanted))


def compare_url(url: str, wanted: Proposal) -> str:
    """Where a person opens the request, by the address of the remote; empty if it is not known."""
    found = _ADDRESS.fullmatch(url)
    if not found:
        return ""
    place = f"https://{found['host']}/{quote(found['path'])}"
    if "gitlab" in found["host"]:
        fields = {"source_branch": wanted.branch, "target_branch": wanted.base}
        pairs = {f"merge_request[{name}]": value for name, value in fields.items()}
        return f"{place}/-/merge_requests/new?{urlencode(pairs)}"
    if "github" in found["host"]:
        return f"{place}/compare/{quote(wanted.base)}...{quote(wanted.branch)}?expand=1"
    return ""


_KINDS = {"gh": "github", "glab": "gitlab"}
_VARIABLES = {"gh": "GH_HOST", "glab": "GITLAB_HOST"}


def _host(url: str) -> str:
    found = _ADDRESS.fullmatch(url)
    return found["host"].lower() if found else ""


def _path(url: str) -> str:
    """`owner/name`, and at GitLab perhaps more groups."""
    found = _ADDRESS.fullmatch(url)
    return found["path"].strip("/") if found else ""


@record
class _Program:
    """A program of the host's, called in the repository."""

    path: str
    repository: Repository
    environment: Mapping[str, str]

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Return standard output. Raises `EnvironmentFailure` for an exit code other than 0."""
        try:
            ended = subprocess.run(
                [self.path, *arguments],
                cwd=self.repository.root,
                env={**self.environment, "GH_PROMPT_DISABLED": "1", "NO_PROMPT": "1"},
                input=stdin.encode("utf-8", "replace"),
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
            )
        except OSError as error:
            raise EnvironmentFailure(f"cannot run {self.path}: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise EnvironmentFailure(
                f"{self.path} {' '.join(arguments[:2])} did not end within {TIMEOUT:.0f} s"
            ) from error
        output = ended.stdout.decode("utf-8", "replace")
        if ended.returncode:
            said = neutral(ended.stderr.decode("utf-8", "replace") or output).strip()[-500:]
            raise EnvironmentFailure(
                f"{self.path} {' '.join(arguments[:2])} failed: {said}",
                hint="The branch is pushed. The same command again finds or makes the request.",
            )
        return output

    def json(self, *arguments: str) -> Any:
        """What is printed as JSON, with whatever is asked of it. Raises `EnvironmentFailure`."""
        with self.understood(arguments):
            return json.loads(self.run(*arguments) or "[]")

    @contextmanager
    def understood(self, arguments: Sequence[str]) -> Generator[None]:
        """Turn what is missing in an answer into one sentence."""
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise EnvironmentFailure(
                f"{self.path} {' '.join(arguments[:2])} printed what cannot be understood",
                hint="The branch is pushed. Is the program a current one?",
            ) from error


def _with_gh(wanted: Proposal, gh: _Program, path: str) -> Opened:
    asked = (
        "pr", "list", "--head", wanted.branch, "--base", wanted.base, "--state", "open",
        "--json", "number,url,headRepository,headRepositoryOwner", "--limit", MANY,
    )  # fmt: skip
    with gh.understood(asked):
        own = [
            (str(int(each["number"])), str(each["url"]))
            for each in gh.json(*asked) or ()
            if _from(each).lower() == path.lower()
        ]
    if own:
        number, url = own[0]
        gh.run("pr", "edit", number, "--title", wanted.title, "--body-file", "-",
               stdin=wanted.body)  # fmt: skip
        return Opened("updated", url)
    made = gh.run(
        "pr", "create", "--head", wanted.branch, "--base", wanted.base, "--title", wanted.title,
        "--body-file", "-", *(["--draft"] if wanted.draft else []), stdin=wanted.body,
    )  # fmt: skip
    return Opened("opened", _last_address(made))


def _from(listed: Json) -> str:
    """The repository that a request comes from: anybody may open one, from a branch of the same name
    in a fork. Empty if that is gone."""
    repository, owner = listed["headRepository"], listed["headRepositoryOwner"]
    return f"{owner['login']}/{repository['name']}" if repository and owner else ""


def _with_glab(wanted: Proposal, glab: _Program, path: str) -> Opened:
    asked = (
        "mr", "list", "--source-branch", wanted.branch, "--target-branch", wanted.base,
        "--per-page", MANY, "--output", "json",
    )  # fmt: skip
    listed: list[Json] = glab.json(*asked) or []
    with glab.understood(asked):
        here = int(glab.json("api", f"projects/{quote(path, safe='')}")["id"]) if listed else 0
        own = [
            (str(int(each["iid"])), str(each["web_url"]))
            for each in listed
            if each["source_project_id"] == here
        ]
    words = ("--title", wanted.title, "--description", wanted.body)
    if own:
        number, url = own[0]
        glab.run("mr", "update", number, *words, "--yes")
        return Opened("updated", url)
    made = glab.run(
        "mr", "create", "--source-branch", wanted.branch, "--target-branch", wanted.base, *words,
        "--yes", *(["--draft"] if wanted.draft else []),
    )  # fmt: skip
    return Opened("opened", _last_address(made))


def _last_address(output: str) -> str:
    found = re.findall(r"https?://\S+", output)
    return str(found[-1]) if found else ""
