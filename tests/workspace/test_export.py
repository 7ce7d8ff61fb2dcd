"""The export: a hostile one is refused, whatever it holds."""

import os
import subprocess
from pathlib import Path

import pytest

from agentflow.workspace.export import MAX_PACK, ExportRefused, import_pack
from tests.workspace.place import Work


@pytest.fixture
def export(work: Work) -> Path:
    """The export of one honest commit."""
    work.agent("echo x > app/x; git add -A; git commit -qm x")
    return work.export()


def refused(work: Work, export: Path) -> str:
    with pytest.raises(ExportRefused) as caught:
        import_pack(work.state, export)
    return caught.value.message


def test_an_honest_one_is_indexed(work: Work, export: Path) -> None:
    found = import_pack(work.state, export)

    assert found.head == work.agent("git rev-parse HEAD")
    assert found.tree == work.agent("git rev-parse HEAD^{tree}")


@pytest.mark.parametrize("name", ["tips", "pack"])
def test_missing_linked_huge_and_special_files(work: Work, export: Path, name: str) -> None:
    path = export / name
    honest = path.read_bytes()
    path.unlink()
    assert refused(work, export) == f"the export has no {name}: No such file or directory"

    (export / "other").write_bytes(honest)
    path.symlink_to("other")
    assert f"the export has no {name}" in refused(work, export)

    path.unlink()
    os.mkfifo(path)
    assert f"the export's {name} is no file" in refused(work, export)

    path.unlink()
    with path.open("wb") as file:
        file.truncate(MAX_PACK + 1)
    assert f"the export's {name} is no file of up to" in refused(work, export)

    path.unlink()
    path.mkdir()
    assert f"the export's {name} is no file" in refused(work, export)


@pytest.mark.parametrize(
    "tips",
    ["", "x", "HEAD HEAD", "a" * 40, f"{'a' * 40} {'b' * 40} {'c' * 40}", "--help " * 2, "\0"],
)
def test_tips_that_are_none(work: Work, export: Path, tips: str) -> None:
    (export / "tips").write_text(tips)

    assert refused(work, export) == "the export names no commit and tree"


def test_names_of_the_wrong_kind_or_of_nothing(work: Work, export: Path) -> None:
    head, tree = (export / "tips").read_text().split()

    (export / "tips").write_text(f"{tree}\n{tree}\n")
    assert refused(work, export) == f"the exported commit {tree[:12]} is none"
    (export / "tips").write_text(f"{head}\n{head}\n")
    assert refused(work, export) == f"the exported tree {head[:12]} is none"
    (export / "tips").write_text(f"{'a' * 40}\n{tree}\n")
    assert refused(work, export) == f"the exported commit {'a' * 12} is none"


@pytest.mark.parametrize("pack", [b"", b"PACK", b"\0" * 5000])
def test_garbage_packs(work: Work, export: Path, pack: bytes) -> None:
    (export / "pack").write_bytes(pack)

    assert refused(work, export).startswith("git refuses the exported objects: ")


def test_a_pack_that_lacks_objects(work: Work, export: Path) -> None:
    names = work.agent("git rev-list --objects HEAD ^HEAD~1 | grep -v app/x | cut -d' ' -f1")
    pack = subprocess.run(
        ["git", "pack-objects", "--stdout", "-q"],
        cwd=work.clone.tree,
        input=names.encode() + b"\n",
        capture_output=True,
        check=True,
    )
    (export / "pack").write_bytes(pack.stdout)

    assert refused(work, export).startswith("git refuses the exported objects: ")


@pytest.mark.parametrize(
    "script",
    [
        "b=$(echo x | git hash-object -w --stdin)\n"
        "t=$(printf '100644 blob %s\\tconfig\\n' $b | git mktree)\n"
        "t=$(printf '040000 tree %s\\t.git\\n' $t | git mktree)",
        "b=$(echo x | git hash-object -w --stdin)\n"
        "t=$(printf '100644 blob %s\\tGIT~1\\n' $b | git mktree)",
        "b=$(echo x | git hash-object -w --stdin)\n"
        "t=$(printf '100644 blob %s\\t..\\n' $b | git mktree)",
    ],
    ids=["dotgit", "dotgit-short", "dotdot"],
)
def test_hostile_trees(work: Work, script: str) -> None:
    folder = work.folder / "hostile"
    folder.mkdir()
    work.agent(
        f"{script}\nhead=$(git commit-tree $t -p HEAD -m evil)\n"
        'printf "%s\\n%s\\n" $head $t > "$EXPORT/tips"\n'
        'printf "%s\\n%s\\n^%s\\n" $head $t "$BASE" |'
        ' git pack-objects -q --revs --stdout > "$EXPORT/pack"',
        EXPORT=str(folder),
        BASE=work.base,
    )

    assert refused(work, folder).startswith("git refuses the exported objects: ")


def test_a_message_with_a_zero_byte(work: Work) -> None:
    work.agent(
        "printf 'tree %s\\nparent %s\\nauthor a <a@b> 1 +0000\\ncommitter a <a@b> 1 +0000\\n\\n"
        "x\\0y\\n' $(git rev-parse HEAD^{tree} HEAD) > ../raw\n"
        "git update-ref HEAD $(git hash-object -t commit -w --stdin --literally < ../raw)"
    )

    assert "nulInCommit" in refused(work, work.export())


def test_replaced_history_is_exported_as_it_is(work: Work) -> None:
    candidate = work.collect(
        'mkdir -p "$(git rev-parse --git-dir)/info"; echo x >> "$(git rev-parse --git-dir)/info/exclude"; '
        "echo x > app/x; git add -f app/x; "
        "git commit -qm x; git replace HEAD HEAD~1"
    )

    assert [(c.subject, [x.path for x in c.changes]) for c in candidate.commits] == [
        ("x", ["app/x"])
    ]


def test_grafted_history_is_exported_as_it_is(work: Work) -> None:
    candidate = work.collect(
        """
        for name in a b c; do echo $name > app/$name; git add -A; git commit -qm $name; done
        mkdir -p "$(git rev-parse --git-dir)/info"; echo $(git rev-parse HEAD HEAD~2) > "$(git rev-parse --git-dir)/info/grafts"
        """
    )

    assert [commit.subject for commit in candidate.commits] == ["a", "b", "c"]


def test_a_shallow_file_that_hides_history_is_refused(work: Work) -> None:
    work.agent(
        "echo x > app/x; git add -A; git commit -qm x; echo y > app/y; git add -A; "
        'git commit -qm y; git rev-parse HEAD > "$(git rev-parse --git-dir)/shallow"'
    )

    assert refused(work, work.export()).startswith("git refuses the exported objects: ")
