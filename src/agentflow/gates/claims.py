"""What an answer claims about the change, compared with git and with the measured gates.

Keys are read as agents write them: `filesCreated`, `files_created` and `files: {created: …}` are
the same claim. What cannot be read as a claim claims nothing.
"""

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, cast

from agentflow.gates.kinds import fitting, kind_of, plain_name
from agentflow.globs import matches
from agentflow.neutral import one_line
from agentflow.records import WORKSPACE, Json
from agentflow.results import Candidate, Evidence

LISTED = 10
"""Differences of one sort that are named one by one."""
MAX_CLAIMS = 1000
"""Entries of one list that are read."""

ACTIONS = {
    "create": "created", "created": "created", "add": "created", "added": "created",
    "new": "created", "modify": "modified", "modified": "modified", "update": "modified",
    "updated": "modified", "edit": "modified", "edited": "modified", "change": "modified",
    "changed": "modified", "delete": "deleted", "deleted": "deleted", "remove": "deleted",
    "removed": "deleted",
}  # fmt: skip
"""What agents call it, and what git says of it."""
PASS = frozenset({"pass", "passed", "passes", "passing", "ok", "success", "succeeded", "green",
                  "true"})  # fmt: skip
FAIL = frozenset({"fail", "failed", "fails", "failing", "error", "errors", "red", "false"})
MIGRATIONS: tuple[str, ...] = (
    "**/migrations/**", "**/migration/**", "**/migrate/**", "**/alembic/versions/**",
    "**/drizzle/**", "**/changelog/**", "**/*.prisma",
)  # fmt: skip
"""Where the common tools keep changes of a database's schema."""


def false_passes(claims: Json, measured: Sequence[Evidence]) -> list[str]:
    """Every claim that a check passed whose gate failed or was not run."""
    found: list[str] = []
    for kind, passed in _verification(claims).items():
        gates = fitting(kind, measured)
        red = [e for e in gates if e.status == "failed"]
        idle = [] if any(e.status == "passed" for e in gates) else list(gates)
        for evidence in (red or idle) if passed else ():
            result = (
                "failed" if evidence.status == "failed" else f"was not run ({evidence.summary})"
            )
            found.append(
                f"claims that {kind} passed; the gate {plain_name(evidence.gate)} {result}"
            )
    return found


def differences(
    claims: Json,
    candidate: Candidate,
    measured: Sequence[Evidence],
    packages: Collection[str] | None,
) -> tuple[str, ...]:
    """Every other difference, in words. `packages` are those that setup installed for this change
    and not for the base; None means that nobody counted them."""
    changed = changed_paths(candidate)
    return (
        *_unmeasured(claims, measured),
        *_several(_file_differences(claims, changed)),
        *_several(_test_differences(claims, changed)),
        *(_several(_package_differences(claims, packages)) if packages is not None else ()),
        *_migration_differences(claims, changed),
    )


def changed_paths(candidate: Candidate) -> dict[str, str]:
    """What all commits together did to each path: `created`, `modified` or `deleted`."""
    found: dict[str, str] = {}
    for change in (change for commit in candidate.commits for change in commit.changes):
        before = found.pop(change.path, "")
        if change.status == "D":
            found |= {} if before == "created" else {change.path: "deleted"}
        elif change.status == "A":
            found[change.path] = "modified" if before == "deleted" else "created"
        else:
            found[change.path] = before or "modified"
    return found


def _several(found: Iterator[str]) -> tuple[str, ...]:
    texts = [one_line(text, 300) for text in found]
    more = [f"and {len(texts) - LISTED} more such differences"] if len(texts) > LISTED else []
    return (*texts[:LISTED], *more)


def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.lower())


def _get(claims: Any, *names: str) -> Any:
    """The value of the first of the keys that is there, whatever its case and hyphens."""
    if not isinstance(claims, dict):
        return None
    plain = {_plain(key): value for key, value in cast("Json", claims).items()}
    return next((plain[name] for name in names if name in plain), None)


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value)[:MAX_CLAIMS] if isinstance(value, list) else []


def _verification(claims: Json) -> dict[str, bool]:
    """For each kind of check whether the answer says that it passed."""
    table = _get(claims, "verification", "quality", "checks")
    found: dict[str, bool] = {}
    for key, value in cast("Json", table if isinstance(table, dict) else {}).items():
        kind, passed = kind_of(key), _says_pass(value)
        if kind and passed is not None:
            found[kind] = found.get(kind, False) or passed
    return found


def _says_pass(value: Any) -> bool | None:
    if isinstance(value, dict):
        value = _get(value, "status", "result", "passed", "outcome")
    word = next(iter(re.findall(r"[a-z]+", str(value)[:40].lower())), "")
    return True if word in PASS else False if word in FAIL else None


def _unmeasured(claims: Json, measured: Sequence[Evidence]) -> Iterator[str]:
    for kind, passed in _verification(claims).items():
        gates = fitting(kind, measured)
        if passed and not gates:
            yield f"claims that {kind} passed; no gate measures it"
        if not passed and gates and all(evidence.status == "passed" for evidence in gates):
            yield f"claims that {kind} failed; the gate {plain_name(gates[0].gate)} passed"


def _claimed_files(claims: Json) -> dict[str, str]:
    """Each path that the answer names, with what it says was done; empty if it does not say."""
    files = _get(claims, "files", "fileschanged", "changedfiles")
    found: dict[str, str] = {}
    for item in _listed(files):
        path = item if isinstance(item, str) else _get(item, "path", "file", "name")
        action = "" if isinstance(item, str) else _get(item, "action", "status", "change")
        if isinstance(path, str):
            found[path] = ACTIONS.get(str(action).lower(), "")
    for action in ("created", "modified", "deleted"):
        for path in (*_listed(_get(files, action)), *_listed(_get(claims, f"files{action}"))):
            if isinstance(path, str):
                found[path] = action
    return found


def _file_differences(claims: Json, changed: Mapping[str, str]) -> Iterator[str]:
    claimed = {_known(path, changed): action for path, action in _claimed_files(claims).items()}
    for path, action in claimed.items():
        if path not in changed:
            yield f"claims to have {action or 'changed'} {path}, which no commit changes"
        elif action and action != changed[path]:
            yield f"claims to have {action} {path}; git says {changed[path]}"
    for path in changed if claimed else ():
        if path not in claimed:
            yield f"does not name {path}, which was {changed[path]}"


def _known(path: str, changed: Collection[str]) -> str:
    """The path as git writes it; an absolute one by its longest end that was changed."""
    given = path[:4096].strip().replace("\\", "/").removeprefix(f"{WORKSPACE}/")
    names = posixpath.normpath(given).split("/")
    absolute = names[0] == "" or names[0].endswith(":")
    ends = ["/".join(names[i:]) for i in range(min(len(names), 100) if absolute else 1)]
    return next((end for end in ends if end in changed), ends[0].lstrip("/"))


def _test_differences(claims: Json, changed: Collection[str]) -> Iterator[str]:
    for item in _listed(_get(claims, "tests")):
        path = item if isinstance(item, str) else _get(item, "file", "path")
        if isinstance(path, str) and _known(path, changed) not in changed:
            yield f"claims the test file {_known(path, changed)}, which no commit changes"


def _package_differences(claims: Json, packages: Collection[str]) -> Iterator[str]:
    listed = _get(_get(claims, "dependencies"), "added") or _get(claims, "dependenciesadded")
    claimed = {_package(item) for item in _listed(listed) if isinstance(item, str)} - {""}
    added = {_package(name) for name in packages}
    yield from (
        f"claims to have added the package {x}; it was not" for x in sorted(claimed - added)
    )
    yield from (f"does not name the added package {x}" for x in sorted(added - claimed))


def _package(text: str) -> str:
    """`@scope/Name@^1.2` and `name_x[extra]>=2 (why)` without version and reason."""
    name = re.match(r"\s*(@?[A-Za-z0-9][\w./-]{0,200})", text)
    return name[1].lower().replace("_", "-") if name else ""


def _migration_differences(claims: Json, changed: Collection[str]) -> Iterator[str]:
    database = _get(claims, "database")
    claimed = _get(database, "migrationrequired", "migration", "schemachanges")
    files = [path for path in changed if any(matches(glob, path) for glob in MIGRATIONS)]
    if claimed is True and not files:
        yield "claims a change of the database's schema; no file of a migration folder changed"
    if claimed is False and files:
        yield one_line(f"claims no change of the database's schema; {files[0]} changed", 300)
