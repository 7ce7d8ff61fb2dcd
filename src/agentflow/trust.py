"""Trust: what of a repository's configuration widens its reach, and whether the user granted it.

A grant holds for exactly these words. The user's grants are in `trust.json` beside their
configuration, by the repository's git directory; in CI the variable `AGENTFLOW_TRUST` holds the
SHA-256 of the words instead.
"""

import difflib
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from agentflow.configuration import user_folder
from agentflow.disk import write_atomically
from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.frozen import record
from agentflow.records import Json
from agentflow.strict_json import parse_object

WIDENING = (
    "environment.agent.env_from",
    "environment.agent.network",
    "environment.env_from",
    "environment.files",
    "environment.gates.env_from",
    "environment.network",
    "hooks",
    "readable",
    "services",
)
"""What a repository may say only if the user trusted it."""

SETUP = "environment.setup"
GIVEN_TO_SETUP = ("environment.env_from", "environment.files", "environment.network")

VARIABLE = "AGENTFLOW_TRUST"
FILE = "trust.json"
MAX_TEXT = 32 * 1024
"""Characters of a widening part; nobody reads a longer one."""
MAX_FILE = 16 << 20
"""Bytes."""

_SHOWN_LINES = 40
_SHOWN_WIDTH = 200
_HINT = (
    "Read it and grant it with `agentflow trust` (with the --base of the run); in CI set "
    + f"{VARIABLE} to what `agentflow trust --print-hash` prints."
)


@record
class Trust:
    """What the user has granted one repository."""

    text: str = ""
    """The granted words, as `widening` writes them."""
    sha256: str = ""
    """The digest of granted words, in hexadecimal, from the environment."""

    def covers(self, wanted: str) -> bool:
        """Whether exactly these words were granted."""
        return not wanted or wanted == self.text or digest(wanted) == self.sha256

    def check(self, wanted: str, where: str) -> None:
        """Refuse what was not granted, with `UsageError`; after a change, with the difference."""
        if self.covers(wanted):
            return
        if self.text:
            changed = _shortened(difference(self.text, wanted, where))
            raise UsageError(
                f"what {where} asks for beyond the sandbox changed since you trusted it:\n{changed}",
                hint=_HINT,
            )
        asked = ", ".join(name for name in WIDENING if re.search(rf"^{name}\b", wanted, re.M))
        raise UsageError(f"{where} asks for what only you may grant: {asked}", hint=_HINT)


NOTHING = Trust()
"""Nothing was granted."""


def widening(table: Mapping[str, Any]) -> str:
    """The words of a checked configuration that widen its reach; empty if there are none.

    With a credential or a way out goes the command that gets it. One sorted `name = value` line for each value, a line for each item of a list, in TOML and
    ASCII, so that nothing hides in it. Raises `UsageError` if it is too long to be read.
    """
    given = any(_value(table, path) for path in GIVEN_TO_SETUP)
    words = (*WIDENING, *([SETUP] if given else []))
    text = "".join(
        f"{name} = {_written(value)}\n"
        for path in sorted(words)
        for name, value in leaves(path, _value(table, path))
        if value not in ([], {}, None)
    )
    if len(text) > MAX_TEXT:
        raise UsageError(
            f"what it asks for beyond the sandbox is longer than {MAX_TEXT} characters"
        )
    return text


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every value within a table, with its dotted TOML key, sorted by it."""
    if not isinstance(value, dict):
        yield name, value
        return
    for key, each in sorted(cast("Json", value).items()):
        plain = re.fullmatch(r"[A-Za-z0-9_-]+", key, re.ASCII)
        yield from leaves(f"{name}.{key if plain else json.dumps(key)}", each)


def digest(text: str) -> str:
    """The SHA-256 of a widening part, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def difference(old: str, new: str, where: str) -> str:
    """A unified diff of two widening parts, without an end of line."""
    lines = (old.splitlines(), new.splitlines())
    return "\n".join(difflib.unified_diff(*lines, "trusted", where, lineterm=""))


def read_trust(common_dir: Path, environment: Mapping[str, str]) -> Trust:
    """What the user has granted the repository with this git directory.

    Raises `UsageError` for a malformed variable or file, naming it.
    """
    sha256 = environment.get(VARIABLE, "").strip().lower()
    if sha256 and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise UsageError(
            f"{VARIABLE} is not a SHA-256 in hexadecimal (64 digits)",
            hint="Set it to what `agentflow trust --print-hash` prints.",
        )
    grants = _read(user_folder(environment) / FILE)
    return Trust(grants.get(_identity(common_dir), ""), sha256)


def grant(common_dir: Path, environment: Mapping[str, str], text: str) -> None:
    """Keep the words as granted to the repository, in place of what was; empty revokes.

    Raises `UsageError` for a malformed file, `EnvironmentFailure` if it cannot be written.
    """
    folder = user_folder(environment)
    name = _identity(common_dir)
    with _locked(folder):
        grants = {key: each for key, each in _read(folder / FILE).items() if key != name}
        if text:
            grants[name] = text
        whole = {key: {"sha256": digest(each), "text": each} for key, each in grants.items()}
        written = json.dumps(whole, indent=2, sort_keys=True)
        write_atomically(folder / FILE, written + "\n", mode=0o600)


def _value(table: Mapping[str, Any], path: str) -> Any:
    value: Any = table
    for name in path.split("."):
        value = value.get(name, {})
    return value


def _written(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    items = "".join(f"  {json.dumps(item, sort_keys=True)},\n" for item in cast("list[Any]", value))
    return f"[\n{items}]"


def _shortened(text: str) -> str:
    lines = [line[:_SHOWN_WIDTH] + "…" * (len(line) > _SHOWN_WIDTH) for line in text.splitlines()]
    more = len(lines) - _SHOWN_LINES
    return "\n".join(lines[:_SHOWN_LINES]) + (f"\n… and {more} more lines" if more > 0 else "")


def _identity(common_dir: Path) -> str:
    return str(common_dir.resolve())


def _read(path: Path) -> dict[str, str]:
    """The granted words by repository; empty if there is no file."""
    try:
        with path.open("rb") as file:
            found = parse_object(file.read(MAX_FILE))
        return {name: _intact(**each) for name, each in found.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{path} is damaged: {error}", hint="Remove it, and grant again with `agentflow trust`."
        ) from error


def _intact(*, text: object, sha256: object) -> str:
    if not isinstance(text, str) or digest(text) != sha256:
        raise ValueError("a text does not fit its SHA-256")
    return text


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Make the folder, and keep others from changing the file in it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise EnvironmentFailure(f"cannot use {folder}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
