"""The files of the base commit, as far as a prompt may speak of them: text, links followed."""

from collections.abc import Callable
from dataclasses import field
from fnmatch import fnmatchcase

from agentflow.frozen import record

MAX_FILE = 1 << 20
"""Bytes. A larger file is named and not read."""
_MAX_LINKS = 20

SECRET = (
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ppk",
    "*.tfstate",
    "*.tfstate.*",
    "*.tfvars",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".git-credentials",
    ".dockercfg",
    "credentials",
    "credentials.*",
    "secrets",
    "secrets.*",
    "*.secret",
    "service-account*.json",
    "service_account*.json",
    "kubeconfig",
    ".aws",
    ".ssh",
    ".gnupg",
    ".kube",
    ".docker",
)
"""Patterns of one name, a file's or a folder's, whatever its case; what they cover is never read
into a prompt. `[secrets] files` adds globs to them."""
_SAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist")


def is_environment_file(path: str) -> bool:
    """Whether a file is a `.env` with real values, by its name."""
    name = path.casefold().rpartition("/")[2]
    return (name == ".env" or name.startswith(".env.")) and name not in _SAMPLES


def _nothing(_: str) -> None:
    return None


@record
class BaseTree:
    """What a commit holds."""

    paths: frozenset[str] = frozenset()
    """Of all files, relative to the root."""
    links: frozenset[str] = frozenset()
    """Those of `paths` that are symbolic links."""
    size: Callable[[str], int | None] = _nothing
    """Bytes of a file; None for what is none, as a submodule."""
    read: Callable[[str], str | None] = _nothing
    """A file's text, or a link's target."""
    is_secret: Callable[[str], bool] = field(default=lambda _: False)
    """Whether a path is one of those that the configuration adds to `SECRET`."""

    def secret(self, path: str) -> bool:
        """Whether a file is never read into a prompt, by its own name or a folder's."""
        names = path.casefold().split("/")
        known = any(
            fnmatchcase(name, pattern)
            for name in names
            if name not in _SAMPLES
            for pattern in SECRET
        )
        return known or self.is_secret(path)

    def resolve(self, path: str) -> str | None:
        """The path that is meant once all links are followed; None if one leaves the tree."""
        waiting = _names(path)
        done: list[str] = []
        followed = 0
        while waiting:
            name = waiting.pop()
            if name == ".." and not done:
                return None
            if name == "..":
                done.pop()
                continue
            here = "/".join((*done, name))
            if here not in self.links:
                done.append(name)
                continue
            target = self.target(here)
            followed += 1
            if target is None or target.startswith("/") or followed > _MAX_LINKS:
                return None
            waiting += _names(target)
        return "/".join(done)

    def target(self, link: str) -> str | None:
        """Where a link points, as written; None if it is longer than a path can be."""
        size = self.size(link)
        return self.read(link) if size is not None and size <= 4096 else None

    def text(self, path: str) -> str | None:
        """A file's text; None for a secret one, one that is too large, and one that is no text."""
        real = self.resolve(path)
        if real is None or self.secret(path) or self.secret(real) or real not in self.paths:
            return None
        size = self.size(real)
        found = self.read(real) if size is not None and size <= MAX_FILE else None
        return None if found is None or "\0" in found else found

    def below(self, folder: str) -> list[str]:
        """The paths of all files below a folder, sorted."""
        return sorted(path for path in self.paths if path.startswith(f"{folder}/"))


def _names(path: str) -> list[str]:
    """The names of a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]
