"""The pull request of a verified run: found or made with the host's own program, else told.

`gh` and `glab` have the user's login; agentflow has none.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any, Literal, cast
from urllib.parse import quote, urlencode

from agentflow.ci.judged import judged_of
from agentflow.ci.summary import summary
from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record
from agentflow.neutral import code_span, neutral, one_line
from agentflow.records import Json
from agentflow.verified_runs import VerifiedRun
from agentflow.workspace.repository import Repository

TIMEOUT = 120.0
"""Seconds of one call."""
MAX_BODY = 60_000
"""Characters; GitHub takes 65,536."""
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
    found: VerifiedRun, base: str, root: Repository, *, title: str | None, draft: bool
) -> Proposal:
    """The pull request of a run, its body from the verdict."""
    report: Json = found.report
    body = (
        f"{summary(judged_of(report, root.root))}\n"
        f"Verified by agentflow: commit {code_span(found.tip)} on {code_span(found.base[:12])}.\n"
    )
    said = title or str(report.get("title") or found.task)
    return Proposal(
        found.branch, base, one_line(f"{found.task}: {said}", 200), body[:MAX_BODY], draft
    )


def open_or_update(
    wanted: Proposal, url: str, root: Repository, environment: Mapping[str, str]
) -> Opened:
    """Update the branch's open request, or open one. Raises `EnvironmentFailure` if the program fails."""
    host = _host(url)
    for program, act in (("gh", _with_gh), ("glab", _with_glab)):
        known = _KINDS[program] in host or (host and host == environment.get(_VARIABLES[program]))
        path = shutil.which(program, path=environment.get("PATH"))
        if known and path:
            return act(wanted, _Program(path, root, environment))
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
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EnvironmentFailure(f"cannot run {self.path}: {error}") from error
        output = ended.stdout.decode("utf-8", "replace")
        if ended.returncode:
            said = neutral(ended.stderr.decode("utf-8", "replace") or output).strip()[-500:]
            raise EnvironmentFailure(
                f"{self.path} {' '.join(arguments[:2])} failed: {said}",
                hint="The branch is pushed. The same command again finds or makes the request.",
            )
        return output

    def first(self, *arguments: str) -> Json | None:
        """The first object of the list that is printed as JSON, if there is one."""
        output = self.run(*arguments)
        try:
            found = cast("list[Any]", json.loads(output or "[]"))
            return cast("Json", found[0]) if found else None
        except (ValueError, KeyError, TypeError) as error:
            raise EnvironmentFailure(f"{self.path} printed no list of requests") from error


def _with_gh(wanted: Proposal, gh: _Program) -> Opened:
    open_ = gh.first(
        "pr", "list", "--head", wanted.branch, "--base", wanted.base, "--state", "open",
        "--json", "number,url", "--limit", "1",
    )  # fmt: skip
    if open_:
        gh.run("pr", "edit", str(open_["number"]), "--title", wanted.title, "--body-file", "-",
               stdin=wanted.body)  # fmt: skip
        return Opened("updated", str(open_["url"]))
    made = gh.run(
        "pr", "create", "--head", wanted.branch, "--base", wanted.base, "--title", wanted.title,
        "--body-file", "-", *(["--draft"] if wanted.draft else []), stdin=wanted.body,
    )  # fmt: skip
    return Opened("opened", _last_address(made))


def _with_glab(wanted: Proposal, glab: _Program) -> Opened:
    open_ = glab.first(
        "mr", "list", "--source-branch", wanted.branch, "--target-branch", wanted.base,
        "--output", "json",
    )  # fmt: skip
    words = ("--title", wanted.title, "--description", wanted.body)
    if open_:
        glab.run("mr", "update", str(open_["iid"]), *words, "--yes")
        return Opened("updated", str(open_["web_url"]))
    made = glab.run(
        "mr", "create", "--source-branch", wanted.branch, "--target-branch", wanted.base, *words,
        "--yes", *(["--draft"] if wanted.draft else []),
    )  # fmt: skip
    return Opened("opened", _last_address(made))


def _last_address(output: str) -> str:
    found = re.findall(r"https?://\S+", output)
    return str(found[-1]) if found else ""
