"""Any trees and commits: what git takes and the walk lets through is the task's, and checks out safely."""

import hashlib
import os
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentflow.records import Boundaries
from agentflow.results import Candidate
from agentflow.workspace.export import ExportRefused, import_pack
from agentflow.workspace.importer import make_candidate
from tests.effort import FACTOR
from tests.workspace.place import AUTHORSHIP, Work, make_place, shell

FILE, PROGRAM, LINK, GITLINK, FOLDER = b"100644", b"100755", b"120000", b"160000", b"40000"
HARMLESS = st.sampled_from([b"a", b"b", b"c.py", "é".encode()])
HOSTILE = st.sampled_from([
    *(b".git", b".GIT", b"..", b".", b"git~1", b".gitmodules", b".gitattributes", b"CLAUDE.md"),
    *(b"x\ny", b"\xff", ".g\u200cit".encode(), "\u202ea".encode(), "e\u0301".encode(), b" a"),
])
NAMES = st.one_of(*[HARMLESS] * 9, HOSTILE)
TARGETS = st.sampled_from([
    *(b"a", b"b/c.py", b"../app/a", b"..", b"../docs", b"a/../../docs", b"/etc/passwd", b".git/x"),
    *(b"../../outside", b"", b"a\0b", b"./a/./b", b"x/.."),
])
Entry = tuple[bytes, "bytes | dict[bytes, Entry]"]
"""A mode, and a content, a link's target, or a folder."""
LEAVES: st.SearchStrategy[Entry] = st.one_of(
    st.tuples(st.sampled_from([FILE, PROGRAM]), st.binary(max_size=8)),
    st.tuples(st.just(LINK), TARGETS),
    st.tuples(st.just(GITLINK), st.just(b"")),
)
FOLDERS: st.SearchStrategy[dict[bytes, Entry]] = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=2),
    lambda inner: st.dictionaries(
        NAMES, st.one_of(LEAVES, st.tuples(st.just(FOLDER), inner)), max_size=3
    ),
    max_leaves=5,
)
NOTHING: st.SearchStrategy[dict[bytes, Entry]] = st.builds(dict[bytes, Entry])
COMMITS = st.lists(
    st.tuples(
        FOLDERS,
        st.one_of(NOTHING, NOTHING, FOLDERS),
        st.text(st.characters(exclude_characters="\0"), max_size=20),
    ),
    min_size=1,
    max_size=3,
)
"""What lies in `app` and what besides, and a message."""


class Store:
    """Objects as a hostile git would write them: nothing is checked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.names = list[str]()

    def write(self, kind: str, content: bytes) -> bytes:
        """A loose object; its name."""
        data = f"{kind} {len(content)}\0".encode() + content
        name = hashlib.sha1(data, usedforsecurity=False)
        path = self._folder / name.hexdigest()[:2] / name.hexdigest()[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(data))
        self.names.append(name.hexdigest())
        return name.digest()

    def tree(self, folder: dict[bytes, Entry], *besides: tuple[bytes, bytes, bytes]) -> bytes:
        """A tree with more entries (mode, name, object); its name."""
        entries = [*besides]
        for name, (mode, held) in folder.items():
            if isinstance(held, dict):
                found = self.tree(held)
            else:
                found = b"\1" * 20 if mode == GITLINK else self.write("blob", held)
            entries.append((mode, name, found))
        entries.sort(key=lambda each: each[1] + (b"/" if each[0] == FOLDER else b""))
        return self.write("tree", b"".join(m + b" " + n + b"\0" + o for m, n, o in entries))

    def commit(self, tree: bytes, parent: str, message: str) -> str:
        """A commit; its name."""
        person = b"A <a@b> 1700000000 +0000\n"
        head = f"tree {tree.hex()}\nparent {parent}\n".encode() + b"author " + person
        text = message.encode("utf-8", "replace")
        return self.write("commit", head + b"committer " + person + b"\n" + text).hex()


def candidate_of(
    work: Work, commits: list[tuple[dict[bytes, Entry], dict[bytes, Entry], str]]
) -> Candidate:
    """What the import makes of commits on the base. Raises `ExportRefused`."""
    store = Store(work.clone.git_dir / "objects")
    kept = [
        (mode.encode(), name.encode(), bytes.fromhex(found))
        for mode, _, found, name in map(
            str.split, work.state.text("ls-tree", work.base).splitlines()
        )
        if name != "app"
    ]
    kept = [(FOLDER if mode == b"040000" else mode, name, found) for mode, name, found in kept]
    head, root = work.base, b""
    for app, besides, message in commits:
        root = store.tree(
            {**besides, b"app": (FOLDER, app)}, *(k for k in kept if k[1] not in besides)
        )
        head = store.commit(root, head, message)
    folder = work.folder / "export"
    folder.mkdir(exist_ok=True)
    (folder / "tips").write_text(f"{head}\n{root.hex()}\n")
    names = "\n".join(store.names) + "\n"
    shell(
        work.clone.tree,
        f"git --git-dir={work.clone.git_dir} pack-objects -q --stdout > {folder}/pack <<'E'\n{names}E",
    )
    export = import_pack(work.state, folder)
    return make_candidate(
        work.state, export, work.base, Boundaries(("app/**",)), "orchestrator", AUTHORSHIP
    )


def check_safe(work: Work, candidate: Candidate) -> None:
    """Each commit changes the task's paths only; their files lie where their names say."""
    state = work.state
    raw = state.run("log", "-m", "--raw", "-z", "--no-abbrev", "--no-renames", "--format=", f"{work.base}..{candidate.tip}")  # fmt: skip
    fields = raw.split(b"\0")
    for facts, path in zip(fields[0::2], fields[1::2], strict=False):
        names = path.decode().split("/")
        assert names[0] == "app", path
        assert facts.split()[1] != GITLINK, path
        for name in names:
            plain = "".join(c for c in name if unicodedata.category(c) != "Cf")
            assert plain.casefold() not in {".git", "..", ".", "git~1", ""}, path
            assert name not in {"CLAUDE.md", ".gitattributes"}, path
    out = work.folder / "out"
    shell(work.folder, f"rm -rf out out.index; mkdir out; GIT_INDEX_FILE=$PWD/out.index git --git-dir={state.directory} --work-tree=out read-tree -m -u {candidate.tip}")  # fmt: skip
    for path in everything(out / "app"):
        assert Path(os.path.realpath(path)).is_relative_to(out / "app"), path


def everything(folder: Path) -> Iterator[str]:
    """All paths in a folder."""
    for at, folders, files in os.walk(folder):
        yield from (os.path.join(at, name) for name in (*folders, *files))  # noqa: PTH118  (bytes)


def test_what_is_taken_is_the_tasks_and_safe(tmp_path: Path) -> None:
    work = make_place(tmp_path).borrow()
    ended = dict.fromkeys(("taken", "refused by git", "refused by the walk"), 0)

    @given(COMMITS)
    @example([({b"a": (FILE, b"1")}, {}, "feat: a")])
    @example([({b"a": (LINK, b"../docs")}, {}, "x")])
    @example([({b"a": (GITLINK, b"")}, {}, "x")])
    @example([({}, {b"docs": (FOLDER, {b"a": (FILE, b"1")})}, "x"), ({}, {}, "back")])
    @example([({b".git": (FOLDER, {b"a": (FILE, b"")})}, {}, "x")])
    @settings(max_examples=10 * FACTOR)
    def trial(commits: list[tuple[dict[bytes, Entry], dict[bytes, Entry], str]]) -> None:
        try:
            candidate = candidate_of(work, commits)
        except ExportRefused:
            ended["refused by git"] += 1
            return
        ended["refused by the walk" if candidate.violations else "taken"] += 1
        if not candidate.violations:
            check_safe(work, candidate)

    trial()
    assert all(ended.values()), ended
    assert not (tmp_path / "outside").exists()
