"""Commands within patterns: what bash would begin, and nothing that is not understood."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.command_scopes import allows, refusal

GIT = ("git:*",)


@pytest.mark.parametrize(
    ("command", "scopes"),
    [
        ("git status", GIT),
        ("git", GIT),
        ("  git log --oneline | git apply && git diff; git status &\n", GIT),
        ("git commit -m 'a; rm b && c | d > e'", GIT),
        ('git commit -m "it\'s; $HOME ${HOME} $? costs 5$"', GIT),
        ("git show $(git rev-parse HEAD)", GIT),
        ('git show "$(git log -1 --format="%H")"', GIT),
        ("git diff 2>&1 >/dev/null 2> /dev/null </dev/null", GIT),
        ("git diff HEAD~1 --stat&>/dev/null", GIT),
        ("git \\\n  status", GIT),
        ('"git" "a\\"b" \\; a#b', GIT),
        ("npm run test -- --watch=false", ("npm run test:*",)),
        ("npm run test", ("npm run test:*",)),
        ("npm run build", ("npm run build",)),
        ("npm ci && git pull", ("git *", "npm *")),
    ],
)
def test_what_is_within(command: str, scopes: tuple[str, ...]) -> None:
    assert refusal(command, scopes) == ""


@pytest.mark.parametrize(
    "command",
    [
        "",
        " ; ",
        "rm x",
        "gitk",
        "./git x",
        "FOO=1 git status",
        "git status; rm x",
        "git status && rm x",
        "git status || rm x",
        "git status | sh",
        "git status |& sh",
        "git status & rm x",
        "git status\nrm x",
        "git show $(rm x)",
        'git show "$(rm x)"',
        'git show "$(git log $(rm x))"',
        "git show `rm x`",
        'git show "`rm x`"',
        "git diff <(rm x)",
        "git diff > .bashrc",
        "git diff >>x",
        "git diff 2>x",
        "git diff &>x",
        "git diff >|x",
        "git diff >&1x",
        "git diff >&1[",
        "git diff 2>&1{,'a'}",
        "git diff >/dev/null/../x",
        "git diff >/dev/nullx",
        "git apply < x",
        "git apply <<E\nrm x\nE",
        "git log # it's\nrm x #'",
        "git log \\\n# it's\nrm x #'",
        "git $'a\\'; rm x #'",
        'git $"a"',
        "git ${x:-$(rm x)}",
        "git $((1+1))",
        "git $[1]",
        "(rm x)",
        "{ rm x; }",
        "git() { rm x; }; git",
        "{git,rm} x",
        "! git status",
        "if git status; then rm x; fi",
        "$X git",
        "g$X status",
        "git 'open",
        'git "open',
        "git $(git log",
        "git \\",
        "git a\rb",
        "git a\0b",
        "git )",
        "git " + "$(git " * 30 + ")" * 30,
    ],
)
def test_what_is_outside_or_not_understood(command: str) -> None:
    assert not allows(command, GIT)


@pytest.mark.parametrize(
    ("command", "scope"),
    [
        ("npm run testing", "npm run test:*"),
        ("npm run", "npm run test:*"),
        ("npm run build --x", "npm run build"),
        ("git status", "*"),
        ("git status", ":*"),
        ("git status", ""),
        ("git status", "g*t:*"),
    ],
)
def test_a_pattern_fits_whole_words(command: str, scope: str) -> None:
    assert not allows(command, (scope,))


def test_a_refusal_says_why() -> None:
    assert refusal("git x; rm y", GIT) == (
        "Only commands within `git:*` may be run; 'rm' is not among them."
    )
    assert "holds `>`" in refusal("git x >y", GIT)


@given(st.lists(st.sampled_from(["ok", "bad", *" \n;&|()<>$`'\"\\#{},=!*~2"]), max_size=14))
def test_bash_never_begins_another_command(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str]
) -> None:
    command = "".join(pieces)
    if not allows(command, ("ok:*",)):
        return
    folder: Path = tmp_path_factory.mktemp("scope")
    for name in ("ok", "bad"):
        script = folder / name
        script.write_text(f"#!/bin/sh\necho {name} >> {folder}/begun\n", "utf-8")
        script.chmod(0o755)
    subprocess.run(
        ["/bin/bash", "--noprofile", "--norc", "-c", command],
        env={"PATH": str(folder)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        check=False,
    )
    begun = folder / "begun"
    assert not begun.exists() or set(begun.read_text("utf-8").split()) <= {"ok"}
    assert {path.name for path in folder.iterdir()} <= {"ok", "bad", "begun"}
