"""A repository's files as of one commit: a listing, and readers that no content can break."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from agentflow.errors import UsageError
from agentflow.frontmatter import MAX_HEADER, read_header
from agentflow.frozen import record
from agentflow.records import Json
from agentflow.strict_json import parse_object
from agentflow.workspace.git import GitError
from agentflow.workspace.repository import Repository

MAX_MANIFEST = 1024 * 1024
"""Bytes of a manifest or a configuration; the largest hand-written ones have some 100 KB."""
MAX_LOCK = 16 * 1024 * 1024
"""Bytes of a lock file."""


@record
class Files:
    """The files of one commit."""

    sizes: Mapping[str, int]
    """Every file's path and its size in bytes."""
    content: Callable[[str], bytes]
    """Returns a file's bytes; asked only for paths in `sizes`."""

    def __contains__(self, path: str) -> bool:
        return path in self.sizes

    def __iter__(self) -> Iterator[str]:
        return iter(self.sizes)

    def first(self, *paths: str) -> str:
        """The first of the paths that is there; empty if none is."""
        return next((path for path in paths if path in self.sizes), "")

    def text(self, path: str, limit: int = MAX_MANIFEST) -> str:
        """A file's text; empty if it is absent or larger than `limit` bytes."""
        if self.sizes.get(path, limit + 1) > limit:
            return ""
        return self.content(path).decode("utf-8", "replace").removeprefix("\ufeff")

    def json(self, path: str) -> Json:
        """A file's JSON object; empty if there is none."""
        return self._parsed(path)[0]

    def toml(self, path: str) -> Json:
        """A file's TOML tables; empty if there are none."""
        return self._parsed(path)[0]

    def yaml(self, path: str) -> Json:
        """A file's YAML mapping, every scalar as text; empty if there is none, or if it holds
        aliases or several documents."""
        lines = self.text(path, MAX_HEADER // 2).splitlines()
        kept = [line for line in lines if line.rstrip() not in {"---", "..."}]
        try:
            return read_header("---\n" + "\n".join(kept) + "\n---\n", where=path).fields
        except UsageError:
            return {}

    def problem(self, path: str) -> str:
        """Why a manifest that is there cannot be read; empty if it can."""
        return self._parsed(path)[1]

    def _parsed(self, path: str) -> tuple[Json, str]:
        if path not in self.sizes:
            return {}, ""
        if self.sizes[path] > MAX_MANIFEST:
            return {}, f"is larger than {MAX_MANIFEST} bytes"
        text = self.text(path)
        try:
            return (parse_object(text) if path.endswith(".json") else tomllib.loads(text)), ""
        except RecursionError:
            return {}, "nests too deeply"
        except ValueError as error:
            return {}, f"cannot be parsed: {error}"


def files_of(repository: Repository, commit: str) -> Files:
    """The files of a commit of the user's repository, links and submodules left out.

    Names that are not UTF-8 are left out too: no configuration could spell them.
    """
    listing = repository.git.text("ls-tree", "-r", "-l", "-z", "--full-tree", commit)
    sizes: dict[str, int] = {}
    for entry in listing.split("\0"):
        facts, _, path = entry.partition("\t")
        words = facts.split()
        if words and words[0] in {"100644", "100755"} and path.isprintable():
            sizes[path] = int(words[3])

    def content(path: str) -> bytes:
        try:
            return repository.git.run("cat-file", "blob", f"{commit}:{path}")
        except GitError:  # a partial clone that has not got it
            return b""

    return Files(sizes, content)


def table(value: Any, *keys: str) -> Json:
    """The table at the end of some keys; empty if it is not there or something else."""
    for key in keys:
        value = cast("Json", value).get(key) if isinstance(value, dict) else None
    return cast("Json", value) if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The value if it is a list; else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The texts in a list; empty if the value is something else."""
    return [item for item in items(value) if isinstance(item, str)]
