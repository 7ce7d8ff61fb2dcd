"""The user's repository: what agentflow reads of it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.workspace.git import Git, GitError, as_user


@dataclass(frozen=True)
class Repository:
    """A repository with a work tree."""

    root: Path
    """The work tree's top."""
    git_dir: Path
    common_dir: Path
    """The same for all linked work trees of one repository."""
    git: Git
    object_format: str
    """`sha1` or `sha256`."""

    @property
    def key(self) -> str:
        """A name for this repository in a cache folder."""
        digest = hashlib.sha256(str(self.common_dir).encode()).hexdigest()[:12]
        return f"{self.root.name}-{digest}"

    def locks(self, cache: Path) -> Path:
        """The folder of this repository's task locks."""
        return cache / self.key / "locks"

    @cached_property
    def head(self) -> str:
        """The commit that HEAD named when it was first asked for."""
        return self.resolve("HEAD")

    @cached_property
    def branch(self) -> str:
        """The branch that HEAD is on; empty if it is on none."""
        try:
            return self.git.text("symbolic-ref", "--quiet", "--short", "HEAD")
        except GitError:
            return ""

    @cached_property
    def settings(self) -> Mapping[str, str]:
        """git's configuration for this repository, the user's and the system's included.

        Of several values the last; a key without one has the value `true`, as git reads it.
        """
        listing = self.git.text("config", "--list", "-z")
        pairs = (entry.partition("\n") for entry in listing.split("\0") if entry)
        return {key: value if separator else "true" for key, separator, value in pairs}

    @cached_property
    def _modes(self) -> dict[str, Mapping[str, str]]:
        """Listings of trees by the commit's full name."""
        return {}

    @cached_property
    def object_stores(self) -> tuple[Path, ...]:
        """The folders that hold this repository's objects: its own first, then borrowed ones."""
        found: list[Path] = []
        waiting = [(self.common_dir / "objects").resolve()]
        while waiting:
            store = waiting.pop(0)
            if store in found or not store.is_dir():
                continue
            found.append(store)
            alternates = store / "info" / "alternates"
            if alternates.is_file():
                lines = alternates.read_text("utf-8", "surrogateescape").splitlines()
                waiting += [(store / x).resolve() for x in lines if x and not x.startswith("#")]
        return tuple(found)

    def resolve(self, revision: str) -> str:
        """Return the commit's full name. Raises `UsageError` for an unknown revision."""
        try:
            return self.git.text(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
            )
        except GitError as error:
            if revision == "HEAD":
                raise UsageError(
                    f"{self.root} has no commits yet",
                    hint="Commit something first, as agentflow works on a copy of a commit.",
                ) from error
            raise UsageError(
                f"there is no commit {revision!r} in {self.root}",
                hint="List branches with `git branch --all`; what only a remote has, `git fetch` brings.",
            ) from error

    def modes(self, commit: str) -> Mapping[str, str]:
        """Every file's path in a commit, given by its full name, with its mode as git has it."""
        if commit not in self._modes:
            listing = self.git.text("ls-tree", "-r", "-z", "--full-tree", commit)
            entries = (entry.partition("\t") for entry in listing.split("\0") if entry)
            self._modes[commit] = {path: kind.partition(" ")[0] for kind, _, path in entries}
        return self._modes[commit]

    def paths(self, commit: str) -> frozenset[str]:
        """Every file's path in a commit."""
        return frozenset(self.modes(commit))

    def read(self, commit: str, path: str) -> str | None:
        """Return a file's text in a commit, or None if it has none there."""
        try:
            return self.git.run("cat-file", "blob", f"{commit}:{path}").decode("utf-8", "replace")
        except GitError:
            return None

    def links(self, commit: str) -> frozenset[str]:
        """The paths of a commit's symbolic links."""
        return frozenset(path for path, mode in self.modes(commit).items() if mode == "120000")

    def size(self, commit: str, path: str) -> int | None:
        """The bytes of a file in a commit, or None if there is no file, as for a submodule."""
        name = f"{commit}:{path}"
        try:
            kind = self.git.text("cat-file", "-t", name)
            return int(self.git.text("cat-file", "-s", name)) if kind == "blob" else None
        except GitError:
            return None

    def holds(self, commit: str) -> bool:
        """Whether any branch contains the commit; False for what is no commit's full name."""
        if not re.fullmatch(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", commit):
            return False
        try:
            listing = self.git.text("for-each-ref", "--contains", commit, "--count=1", "refs/heads")
        except GitError:
            return False
        return bool(listing)

    def landed_tasks(self, commit: str) -> frozenset[str]:
        """The tasks whose landed commits are ancestors of a commit, by their trailers."""
        return self._trailers("Agentflow-Task", commit)

    def landed_runs(self, commit: str) -> frozenset[str]:
        """The runs whose landed commits are ancestors of a commit, by their trailers."""
        return self._trailers("Agentflow-Run", commit)

    def is_only_of(self, task: str, commit: str, tip: str) -> bool:
        """Whether all that `tip` has and `commit` has not was landed by runs of one task."""
        return set(self._said("Agentflow-Task", "%x2C", f"{commit}..{tip}")) <= {task}

    def _trailers(self, key: str, commit: str) -> frozenset[str]:
        said = self._said(key, "%x00", "--basic-regexp", f"--grep=^{key}: ", commit)
        return frozenset(filter(None, map(str.strip, said)))

    def _said(self, key: str, separator: str, *wanted: str) -> list[str]:
        """What the trailers of this key say in each commit that is wanted. Only trailers count, whatever
        else a message says, and whatever git is configured to show."""
        trailers = f"%(trailers:key={key},valueonly,unfold,separator={separator})"
        log = self.git.text(
            "-c",
            "trailer.separators=:",
            "log",
            "-z",
            "--no-show-signature",
            "--encoding=UTF-8",
            f"--format=tformat:{trailers}",
            *wanted,
        )
        return log.split("\0")[:-1]

    def recent(self, commit: str, count: int) -> tuple[str, ...]:
        """The newest commits up to this one, the newest first: short name and subject."""
        log = self.git.text("log", "-z", "--no-show-signature", "--encoding=UTF-8",
                            f"--max-count={count}", "--format=tformat:%h %s", commit)  # fmt: skip
        return tuple(line for line in log.split("\0") if line)

    def tracks(self, path: str) -> bool:
        """Whether git tracks the file, or a folder above it as a link or a submodule."""
        parents = path.split("/")
        return any(
            self.git.succeeds("ls-files", "--error-unmatch", "--", name)
            for name in (path, *("/".join(parents[:n]) for n in range(1, len(parents))))
            if name == path or not (self.root / name).is_dir() or self._is_link(name)
        )

    def _is_link(self, path: str) -> bool:
        entry = self.git.text("ls-files", "--stage", "--", path).split(" ", 1)[0]
        return entry in {"120000", "160000"}

    def changed_paths(self) -> tuple[str, ...]:
        """Tracked paths with uncommitted changes."""
        status = self.git.text("diff", "--name-only", "--no-ext-diff", "-z", "HEAD", "--")
        return tuple(path for path in status.split("\0") if path)

    def untracked_paths(self, folder: str) -> tuple[str, ...]:
        """Files below a folder of the work tree that git neither tracks nor ignores."""
        listing = self.git.text(
            "ls-files", "--others", "--exclude-standard", "-z", "--", folder or "."
        )
        return tuple(path for path in listing.split("\0") if path)

    def identity(self, name: str | None = None, email: str | None = None) -> tuple[str, str]:
        """Whose commits are made: the given name and e-mail, else those that git is configured
        with, spelled as git will write them.

        Raises `EnvironmentFailure` if one is missing or cannot stand in a commit.
        """
        name = name or self.settings.get("user.name", "")
        email = email or self.settings.get("user.email", "")
        missing = [key for key, value in (("name", name), ("email", email)) if not value.strip()]
        if missing:
            raise EnvironmentFailure(
                f"git does not know whose commits it should make: user.{missing[0]} is not set",
                hint="\n".join(f"git config --global user.{key} <your {key}>" for key in missing),
            )
        variables = {"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": email}
        try:
            written = self.git.text("var", "GIT_COMMITTER_IDENT", environment=variables)
        except GitError as error:
            raise EnvironmentFailure(
                f"{name!r} <{email!r}> cannot stand in a commit: {error.said}"
            ) from error
        # Git leaves out angle brackets and line ends, so the last bracket is the one of the e-mail.
        clean_name, _, rest = written.rpartition(" <")
        return clean_name, rest.partition(">")[0]


def open_repository(directory: Path, environment: Mapping[str, str]) -> Repository:
    """Find the repository around a directory.

    Raises `UsageError` outside a work tree or in a repository without commits.
    """
    git = as_user(directory, environment)
    try:
        root, git_dir, common, object_format = git.text(
            "rev-parse",
            "--path-format=absolute",
            "--show-toplevel",
            "--git-dir",
            "--git-common-dir",
            "--show-object-format",
        ).splitlines()
    except (GitError, ValueError) as error:
        reason, _, advice = (error.said if isinstance(error, GitError) else "").partition("\n")
        reason = reason.removeprefix("fatal: ")
        trust = re.search(r"git config .*", advice)
        raise UsageError(
            f"{directory} is not inside a git work tree" + (f" ({reason})" if reason else ""),
            hint=f"If you trust it: {trust[0].strip()}"
            if trust
            else "Run agentflow in the repository that the task is about.",
        ) from error
    repository = Repository(
        Path(root), Path(git_dir), Path(common), as_user(Path(root), environment), object_format
    )
    _ = repository.head
    return repository
