"""Git LFS: present contents are checked out and invisible to git, new ones are refused by name."""

import hashlib
from pathlib import Path

import pytest

from agentflow.records import Boundaries
from agentflow.results import Candidate
from agentflow.workspace.clone import Clone, make_clone
from agentflow.workspace.importer import make_candidate
from agentflow.workspace.lfs import REFUSED, content_stores
from tests.workspace.place import AUTHORSHIP, Place, Work

LOGO, SOUND = b"\x89PNG\0logo\n" * 300, b"RIFF\0sound"


def pointer(content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    return (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n"
        % (digest.encode(), len(content))
    )  # fmt: skip


def store(place: Place, content: bytes, folder: str = ".git/lfs") -> Path:
    """Put a content where git-lfs keeps it."""
    digest = hashlib.sha256(content).hexdigest()
    path = place.root / folder / "objects" / digest[:2] / digest[2:4] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def assets(place: Place) -> Place:
    """The user's repository with assets in LFS, one of them never converted, as happens."""
    (place.root / "assets").mkdir()
    files = {
        "assets/logo.bin": pointer(LOGO),
        "assets/sound.bin": pointer(SOUND),
        'assets/r*w "x"\\ [1].bin': b"raw\n",
        "assets/empty.bin": b"",
        ".gitattributes": b"*.bin filter=lfs diff=lfs merge=lfs -text\n",
    }
    for path, content in files.items():
        (place.root / path).write_bytes(content)
    place.user("chmod +x assets/sound.bin; git add -A; git commit -qm assets")
    return place


def take(work: Work, script: str, *, allow: tuple[str, ...] = ()) -> Candidate:
    """Let the agent run a script; import what it left."""
    work.agent(script)
    return make_candidate(
        work.state,
        work.imported(),
        work.base,
        Boundaries(allow),
        "orchestrator",
        AUTHORSHIP,
        content_stores(work.repository),
    )


def names(candidate: Candidate) -> list[str]:
    assert candidate.violations == ()
    return [f"{c.status} {c.path}" for commit in candidate.commits for c in commit.changes]


def content(clone: Clone, path: str) -> bytes:
    return (clone.tree / path).read_bytes()


def test_present_contents_are_there_and_nothing_is_modified(assets: Place) -> None:
    object_file = store(assets, LOGO)
    work = assets.borrow()

    assert content(work.clone, "assets/logo.bin") == LOGO
    assert content(work.clone, "assets/sound.bin") == pointer(SOUND)
    assert work.clone.pointers == 1
    assert work.agent("git diff-files; git status --porcelain") == ""
    work.agent("echo scribble >> assets/logo.bin")
    assert object_file.read_bytes() == LOGO, "the user's object is copied, not shared"


def test_a_content_keeps_its_mode_and_an_index_without_times_changes_nothing(
    assets: Place,
) -> None:
    store(assets, LOGO)
    store(assets, SOUND)
    work = assets.borrow()

    assert work.clone.pointers == 0
    assert (work.clone.tree / "assets/sound.bin").stat().st_mode & 0o111
    work.agent("touch assets/*; git rm -rq --cached assets; git add -A; git commit -qm x "
               "--allow-empty")  # fmt: skip
    assert names(take(work, "echo x > app/x")) == ["A app/x"]


def test_a_gates_checkout_has_them_too(assets: Place) -> None:
    store(assets, LOGO)
    work = assets.borrow()
    candidate = work.candidate("echo x > app/x")

    clone = make_clone(
        assets.folder / "gate",
        work.repository,
        (assets.folder / "state.git/objects", *work.repository.object_stores),
        candidate.tip,
        "result",
        mounted=False,
    )

    assert content(clone, "assets/logo.bin") == LOGO
    assert (content(clone, "app/x"), clone.pointers) == (b"x\n", 1)


@pytest.mark.parametrize(
    "damage", [b"x" * len(LOGO), LOGO[:-1], None], ids=["content", "size", "folder"]
)
def test_what_is_not_the_content_stays_a_pointer(assets: Place, damage: bytes | None) -> None:
    path = store(assets, LOGO)
    path.unlink()
    if damage is None:
        path.mkdir()
    else:
        path.write_bytes(damage)

    work = assets.borrow()

    assert content(work.clone, "assets/logo.bin") == pointer(LOGO)
    assert work.clone.pointers == 2
    assert not (work.clone.git_dir / "lfs-incoming").exists()


def test_a_configured_and_a_borrowed_storage_are_found(assets: Place) -> None:
    assets.user("git config lfs.storage ../large")
    store(assets, LOGO, "large")
    assert content(assets.borrow().clone, "assets/logo.bin") == LOGO

    second = Place(assets.folder / "second")
    second.folder.mkdir()
    assets.user(f"git clone -q --shared . {second.root}")
    store(assets, SOUND)
    assert content(second.borrow().clone, "assets/sound.bin") == SOUND


def test_known_contents_may_move_and_be_removed(assets: Place) -> None:
    store(assets, LOGO)
    other = store(assets, b"of another branch").read_bytes()
    work = assets.borrow()

    candidate = take(
        work,
        f"""
        git mv assets/logo.bin app/logo.bin; git commit -qam move
        cp app/logo.bin app/copy.bin; git rm -q assets/sound.bin
        printf '{other.decode()}' > app/other.bin; : > app/nothing.bin
        """,
    )

    assert sorted(names(candidate)) == [
        "A app/copy.bin",
        "A app/logo.bin",
        "A app/nothing.bin",
        "A app/other.bin",
        "D assets/logo.bin",
        "D assets/sound.bin",
    ]
    moved = work.state.run("cat-file", "blob", f"{candidate.tip}:app/logo.bin")
    assert moved == pointer(LOGO)


def test_a_pointer_of_the_base_may_move_without_its_content(assets: Place) -> None:
    work = assets.borrow()

    assert names(take(work, "git mv assets/sound.bin app/sound.bin")) == [
        "A app/sound.bin",
        "D assets/sound.bin",
    ]


def test_new_and_changed_contents_are_refused_by_name(assets: Place) -> None:
    store(assets, LOGO)
    work = assets.borrow()

    candidate = take(
        work,
        """
        echo more >> assets/logo.bin; git add -A; git commit -qm logo
        git checkout -q HEAD~1 -- assets/logo.bin; git commit -qam back
        echo new > app/new.bin; echo changed >> 'assets/r*w "x"\\ [1].bin'; echo x > app/x
        """,
    )

    assert candidate.tip == candidate.base
    assert [v.partition("): ")[2] or v for v in candidate.violations] == [
        f"M assets/logo.bin: {REFUSED}",
        f"uncommitted: A app/new.bin: {REFUSED}",
        f'uncommitted: M assets/r*w "x"\\ [1].bin: {REFUSED}',
    ]


def test_around_the_filter_is_refused_too(assets: Place) -> None:
    work = assets.borrow()

    candidate = take(
        work,
        """
        git config --remove-section filter.lfs
        echo raw > app/raw.bin
        printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%064d\\nsize 9\\n' 0 \
          > app/forged.bin
        """,
    )

    assert candidate.violations == (
        f"uncommitted: A app/forged.bin: {REFUSED}",
        f"uncommitted: A app/raw.bin: {REFUSED}",
    )


def test_each_commit_is_judged_by_its_own_attributes(place: Place) -> None:
    work = place.borrow()

    candidate = take(
        work,
        """
        echo x > app/a.dat; git add -A; git commit -qm before
        echo '[attr]large filter=lfs' > .gitattributes; echo '*.dat large' >> .gitattributes
        git add -A; git commit -qm track
        echo y > app/b.dat; git add -A; git commit -qm after
        git rm -q .gitattributes; echo z > app/c.dat; git add -A; git commit -qm untrack
        """,
        allow=("app/", ".gitattributes"),
    )

    assert [v.partition("): ")[2] for v in candidate.violations] == [f"A app/b.dat: {REFUSED}"]
    assert not (work.folder / "state.git/lfs-index").exists()
