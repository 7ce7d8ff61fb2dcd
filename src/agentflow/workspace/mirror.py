"""A worker's copies: one bare mirror of each repository, and a work tree of it for each run."""

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.file_locks import open_lock, try_lock
from agentflow.frozen import record
from agentflow.workspace.git import Git, GitError, explicit, isolated
from agentflow.workspace.relay import fetch
from agentflow.workspace.repository import Repository

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds between two tries to fetch."""
HEADS = "+refs/heads/*:refs/heads/*"
_PASSWORD = re.compile(r"^(?:[a-z+]+://[^/@]*:[^/@]*@|https?://[^/@]+@)", re.IGNORECASE)
_SCP = re.compile(r"^(?:(?P<user>[^/@:]+)@)?(?P<host>\[[^\]/]+\]|[^/:@[]+):(?P<path>.+)$")
_DEFAULT_PORTS = {"ssh": 22, "https": 443, "http": 80, "git": 9418}
_TRANSPORT = re.compile(r"^(?!(?:file|git|https?|ssh)://)[a-z0-9+.-]+(?:://|::)", re.IGNORECASE)


def check_address(url: str) -> str:
    """The address of a remote as it may be handed on. Raises `UsageError` for one that holds a
    password or that runs a command."""
    if _PASSWORD.match(url):
        raise UsageError(
            "the remote's address holds a password, which would be stored in the database",
            hint="Take it out of the address; workers have keys or a credential helper of their own.",
        )
    if _TRANSPORT.match(url) or url.startswith("-"):
        raise UsageError(f"{url!r} is no address for a worker", hint="Use https, ssh or git.")
    return url


def remote_address(repository: Repository, name: str) -> str:
    """The address of one of the repository's remotes. Raises `UsageError`."""
    try:
        url = repository.git.text("remote", "get-url", "--", name)
    except GitError as error:
        raise UsageError(
            f"{repository.root} has no remote {name!r}, and workers know a repository by its remote",
            hint="git remote add origin <address>\nOr name another one with --remote.",
        ) from error
    return check_address(url)


def repository_keys(repository: Repository) -> list[str]:
    """The keys of all remotes of a repository, each once: see `repository_key`."""
    names = repository.git.text("remote").splitlines()
    found = (repository.git.text("remote", "get-url", "--", name) for name in names)
    return list(dict.fromkeys(repository_key(url) for url in found))


def repository_key(url: str) -> str:
    """What a repository is known by, however its address is written: host and path of what servers
    of git give by several addresses (`git@host:a/b.git`, `ssh://git@host/a/b`, `https://host/a/b`).

    Where the user may decide what a path means (ssh as anybody but `git`), user and scheme stay, and
    so does a port that is not the scheme's own.
    """
    scp = None if "://" in url else _SCP.match(url)
    if scp:
        user, host, path = scp["user"] or "", scp["host"], scp["path"]
        rooted = path if path.startswith("/") or user == "git" else f"/~/{path}"
        url = f"ssh://{user}{'@' if user else ''}{host}/{rooted.lstrip('/')}"
    elif "://" not in url:
        return _bare(url if url.startswith(("/", ".")) else f"./{url}")
    try:
        parts = urlsplit(url.replace("?", "%3F").replace("#", "%23"))
        port = parts.port
    except ValueError:
        return url
    host = parts.hostname or ""
    if port not in {None, _DEFAULT_PORTS.get(parts.scheme)}:
        host = f"{parts.scheme}://{host}:{port}"
    place = f"{host}/{_bare(parts.path).lstrip('/')}"
    if parts.scheme == "file":
        return _bare(parts.path)
    if parts.scheme == "ssh" and parts.username != "git":
        return f"ssh://{parts.username or ''}@{place}"
    return place


def _bare(path: str) -> str:
    """The path of a repository without what git adds by itself."""
    return path.rstrip("/").removesuffix(".git").rstrip("/")


def is_published(repository: Repository, url: str, commit: str) -> bool:
    """Whether a branch of the remote holds a commit, as far as is known here.

    Raises `EnvironmentFailure` if the remote does not answer.
    """
    try:
        listing = repository.git.text("ls-remote", "--quiet", "--heads", "--", url, timeout=60)
    except GitError as error:
        raise EnvironmentFailure(f"cannot read {url}: {error.said}") from error
    tips = [line.partition("\t")[0] for line in listing.splitlines()]
    return commit in tips or any(
        repository.git.succeeds("merge-base", "--is-ancestor", commit, tip) for tip in tips
    )


@record
class Mirror:
    """The copy of one repository."""

    folder: Path
    """Of this copy: `mirror.git`, and `trees/<run>/<name>`."""
    url: str
    environment: Mapping[str, str]

    @property
    def git_dir(self) -> Path:
        """The bare repository."""
        return self.folder / "mirror.git"

    @property
    def git(self) -> Git:
        """git in the bare repository, with the worker's own keys."""
        return explicit(self.git_dir, self.environment)

    def update(self) -> None:
        """Make the copy, or bring its branches to where the remote's are.

        Raises `EnvironmentFailure`.
        """
        with self._alone():
            if not (self.git_dir / "HEAD").is_file():
                shutil.rmtree(self.git_dir, ignore_errors=True)
                self.git_dir.mkdir(parents=True)
                isolated(self.git_dir).run("init", "--quiet", "--bare", "--initial-branch=none")
            for pause in PAUSES:
                with suppress(GitError):
                    fetch(self.git, self.url, "--prune", HEADS)
                    return
                time.sleep(pause)
            try:
                fetch(self.git, self.url, "--prune", HEADS)
            except GitError as error:
                raise EnvironmentFailure(
                    f"cannot fetch {self.url}: {error.said}",
                    hint="See that this worker may read it, then: agentflow cluster retry",
                ) from error

    def add_tree(self, run: str, commit: str) -> Path:
        """Make a work tree of a commit for a run, anew. Raises `EnvironmentFailure`."""
        name = Path(self.url.rstrip("/")).name.removesuffix(".git") or "repository"
        tree = self.folder / "trees" / run / re.sub(r"[^A-Za-z0-9._-]", "-", name)
        with self._alone():
            self._remove(tree)
            try:
                self.git.run("worktree", "add", "--quiet", "--detach", "--force", str(tree), commit)
            except GitError as error:
                raise EnvironmentFailure(
                    f"cannot check out {commit[:12]} of {self.url}: {error.said}",
                    hint="Push the commit to a branch of the remote.",
                ) from error
        return tree

    def remove_tree(self, tree: Path) -> None:
        """Remove the work tree of a run."""
        with self._alone():
            self._remove(tree)

    def _remove(self, tree: Path) -> None:
        shutil.rmtree(tree.parent, ignore_errors=True)
        with suppress(GitError):
            self.git.run("worktree", "prune", "--expire=now")

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Let one run of the worker at a time change what all share."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def mirror_of(cache: Path, url: str, environment: Mapping[str, str]) -> Mirror:
    """The copy of a repository in a worker's cache."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:12]
    own = {**environment, "GIT_TERMINAL_PROMPT": "0"}
    return Mirror(cache / "repositories" / digest, url, own)


@contextmanager
def own_cache(cache: Path) -> Generator[Path]:
    """A folder that no other worker on this machine uses while this one lives; the next one that
    starts gets it, with the copies in it."""
    number = 1
    while True:
        folder = cache / f"worker-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = open_lock(folder / "lock")
        if not try_lock(descriptor):
            os.close(descriptor)
            number += 1
            continue
        try:
            yield folder
        finally:
            os.close(descriptor)
        return
