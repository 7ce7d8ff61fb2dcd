"""Boundaries: the matcher against a brute-force reference, refusals, protection, mounts."""

from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentflow.boundaries import PROTECTED, violation
from agentflow.errors import UsageError
from agentflow.globs import as_written, check_glob, is_path, literal_prefix, matches
from agentflow.mount_plan import plan_mounts
from agentflow.records import Boundaries
from tests.growth import check_growth


def reference(glob: str, path: str) -> bool:
    """The documented meaning, tried out in every possible way."""
    return any(_covers(each, path) for each in expand(glob))


def expand(glob: str) -> list[str]:
    """What the braces of a glob stand for, one at a time."""
    head, opening, rest = glob.partition("{")
    if not opening:
        return [glob]
    inside, _, tail = rest.partition("}")
    return [each for branch in inside.split(",") for each in expand(head + branch + tail)]


def _covers(glob: str, path: str) -> bool:
    wanted, given = tuple(glob.rstrip("/").split("/")), tuple(path.split("/"))
    exact = _names(wanted, given)
    beneath = any(_names(wanted, given[:end]) for end in range(1, len(given)))
    if glob.endswith("/"):
        return beneath
    if set(wanted[-1]) & set("*?"):
        return exact
    return exact or beneath


@cache
def _names(wanted: tuple[str, ...], given: tuple[str, ...]) -> bool:
    if not wanted:
        return not given
    if wanted[0] == "**":
        if len(wanted) == 1:
            return bool(given)
        return any(_names(wanted[1:], given[skip:]) for skip in range(len(given) + 1))
    return bool(given) and _name(wanted[0], given[0]) and _names(wanted[1:], given[1:])


@cache
def _name(wanted: str, given: str) -> bool:
    if not wanted:
        return not given
    if wanted[0] == "*":
        return any(_name(wanted[1:], given[skip:]) for skip in range(len(given) + 1))
    return bool(given) and wanted[0] in {"?", given[0]} and _name(wanted[1:], given[1:])


CHARACTERS = st.sampled_from("ab.[")
PATHS = st.lists(
    st.text(CHARACTERS, min_size=1, max_size=4).filter(lambda name: name not in {".", ".."}),
    min_size=1,
    max_size=5,
).map("/".join)
PIECES = st.one_of(
    st.text(CHARACTERS, min_size=1, max_size=2),
    st.sampled_from("*?"),
    st.lists(st.text("ab*?", max_size=2), min_size=1, max_size=3).map(
        lambda branches: "{" + ",".join(branches) + "}"
    ),
)
NAMES = st.one_of(st.just("**"), st.lists(PIECES, min_size=1, max_size=4).map("".join))
GLOBS = st.tuples(
    st.lists(NAMES, min_size=1, max_size=4).map("/".join), st.sampled_from(["", "/"])
).map("".join)


def accepted(glob: str) -> str | None:
    try:
        return check_glob(glob, where="test")
    except UsageError:
        return None


CHECKED = GLOBS.map(accepted).filter(lambda glob: glob is not None).map(str)


@given(CHECKED, PATHS)
@example("{aaa,a}*a", "aaa")
@example("*{b,abcde}*e", "abcde")
@example("**/a/**/b/**", "b/a/a/b/b")
@example("a*/", "a/b")
def test_a_match_is_what_the_brute_force_reference_says(glob: str, path: str) -> None:
    assert matches(glob, path) == reference(glob, path)


@pytest.mark.parametrize(
    ("glob", "covered", "left"),
    [
        ("src/**", "src/a src/a/b src/.hidden", "src srcs/a a/src/b"),
        ("src", "src src/a src/a/b", "srcs a/src"),
        ("src/", "src/a src/a/b", "src"),
        ("src/*", "src/a src/.a", "src/a/b"),
        ("src/*/", "src/a/b src/a/b/c", "src/a"),
        ("**", "a a/b .github/x", ""),
        ("**/tests", "tests tests/a a/b/tests/c", "tests2"),
        ("**/*.py", "a.py a/b/c.py", "a.pyc a.py/b"),
        ("a/**/b", "a/b a/x/y/b a/b/c", "ab a/x"),
        ("?.py", "a.py", "ab.py .py /.py"),
        ("app/[id]/page.tsx", "app/[id]/page.tsx", "app/i/page.tsx"),
        ("*.{js,ts}", "a.js a.ts", "a.j a.jsx a/b.js"),
        ("a{,.bak}", "a a.bak a/x", "a.b"),
        ("a.b", "a.b", "axb"),
        ("src/**", "src/a\nb", ""),
    ],
)
def test_globs_cover_what_the_documentation_says(glob: str, covered: str, left: str) -> None:
    normal = check_glob(glob, where="test")
    split = [covered] if "\n" in covered else covered.split()
    assert [path for path in split if not matches(normal, path)] == []
    assert [path for path in left.split() if matches(normal, path)] == []


@pytest.mark.parametrize(
    ("glob", "normal"),
    [
        (" src/** ", "src/**"),
        ("./src", "src"),
        ("././a/./b", "a/b"),
        ("a//b", "a/b"),
        ("src//", "src/"),
        ("src/.", "src/"),
        ("[!x]", "[!x]"),
        ("...", "..."),
        (".gitignore", ".gitignore"),
    ],
)
def test_a_glob_is_brought_to_its_normal_form(glob: str, normal: str) -> None:
    assert check_glob(glob, where="test") == normal


@pytest.mark.parametrize(
    ("glob", "problem"),
    [
        ("", "is empty"),
        (".", "is empty"),
        ("./", "is empty"),
        ("/etc/**", "must be relative"),
        ("~/x", "must be relative"),
        ("a\\b", "must be relative"),
        ("{,a}/b", "must be relative"),
        ("../x", "leaves the repository"),
        ("a/..", "leaves the repository"),
        ("{..,a}/x", "leaves the repository"),
        ("{.,a}{.,b}/x", "leaves the repository"),
        (".git", "reaches into .git"),
        ("a/.GIT/hooks/**", "reaches into .git"),
        ("{.git,a}/x", "reaches into .git"),
        ("!x", "is a negation"),
        ("./!x", "is a negation"),
        ("./~/x", "must be relative"),
        ("./ a", "begins or ends with a blank"),
        ("{a", "braces that do not match"),
        ("a}", "braces that do not match"),
        ("{a,{b,c}}", "braces that do not match"),
        ("{a/b,c}", "braces that do not match"),
        ("a**", "must be a whole name"),
        ("{**,a}/b", "must be a whole name"),
        ("{*,a}*", "puts `*` beside braces"),
        ("{a,b}" * 7, "too many alternatives"),
        ("a" * 4097, "longer than a path"),
        ("a\x00b", "control"),
        ("a\nb", "control"),
        ("a\u202eb", "control"),
    ],
)
def test_a_glob_that_is_unclear_or_escapes_is_refused(glob: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_glob(glob, where="here")
    assert caught.value.message.startswith(f"here: the boundary {glob[:200]!r} ")
    assert problem in caught.value.message


@given(st.text("ab./{},*?!~\\[] \x00\u202e", max_size=12))
def test_nothing_that_is_accepted_escapes(glob: str) -> None:
    normal = accepted(glob)
    if normal is None:
        return
    assert check_glob(normal, where="again") == normal
    for each in expand(normal):
        assert not each.startswith(("/", "~"))
        assert not {"..", ".git"} & set(each.lower().split("/"))


HOSTILE: list[tuple[str, Callable[[int], str]]] = [
    ("*a" * 30 + "b", lambda size: "a" * size),
    ("**/a/" * 30 + "b", lambda size: "a/" * (size // 2) + "c"),
    ("**/*a*a*a*/" * 10 + "b", lambda size: "aaaaaaaaaaaa/" * (size // 13) + "c"),
]


@pytest.mark.parametrize(("glob", "path"), HOSTILE)
def test_time_grows_with_the_path_only(glob: str, path: Callable[[int], str]) -> None:
    def match(given: str) -> None:
        assert not matches(glob, given)

    check_growth(match, path, 32 * 1024)


def test_literal_prefix_and_is_path() -> None:
    globs = ("src/**", "a/b/*.py", "**", "a/{b,c}/d", "a/b.py", "src/", "app/[id]/p.tsx")
    assert [literal_prefix(glob) for glob in globs] == [
        "src", "a/b", "", "a", "a/b.py", "src", "app/[id]/p.tsx",
    ]  # fmt: skip
    assert [glob for glob in globs if is_path(glob)] == ["a/b.py", "app/[id]/p.tsx"]


@pytest.mark.parametrize(
    ("boundaries", "path", "reason"),
    [
        (Boundaries(), "src/a.py", None),
        (Boundaries(("src/**",)), "src/a.py", None),
        (Boundaries(("src/**",)), "docs/a", "outside the allowed paths"),
        (Boundaries(("src/**",), ("src/x/**",)), "src/x/a", "denied by src/x/**"),
        (Boundaries(("src/x/a",), ("src",)), "src/x/a", "denied by src"),
        (Boundaries(("src/**",), (), (("src/a/**",), ("**/b",))), "src/a/b", None),
        (Boundaries(("src/**",), (), (("src/a/**",), ("**/b",))), "src/b", "outside"),
        (Boundaries((), (), (("src/**",),)), "docs/a", "outside"),
        (Boundaries(("**",)), "a\u202eb", "control, direction"),
        (Boundaries(("**",)), "a\u2028b", "control, direction"),
        (Boundaries(("**",)), "a\udcffb", "undecodable"),
    ],
)
def test_violation_says_why(boundaries: Boundaries, path: str, reason: str | None) -> None:
    found = violation(boundaries, path)
    assert (found is None) == (reason is None)
    assert (reason or "") in (found or "")


@pytest.mark.parametrize(
    ("allow", "path", "allowed"),
    [
        ("**", ".github/workflows/ci.yml", False),
        ("**", ".GitHub/workflows/ci.yml", False),
        ("**", "docs/claude.md", False),
        ("*/**", ".github/workflows/ci.yml", False),
        (".g*/**", ".github/workflows/ci.yml", False),
        ("*/workflows/**", ".github/workflows/ci.yml", False),
        (".github/**", ".github/workflows/ci.yml", True),
        (".github", ".github/workflows/ci.yml", True),
        (".github/", ".github/workflows/ci.yml", True),
        (".github/workflows/*.yml", ".github/workflows/ci.yml", True),
        ("{.github,src}/**", ".github/workflows/ci.yml", True),
        ("{.github,src}/**", "src/.vscode/x", False),
        ("src/**", "src/.vscode/settings.json", False),
        ("src/.vscode/**", "src/.vscode/settings.json", True),
        ("**/CLAUDE.md", "docs/CLAUDE.md", True),
        ("packages/*/CLAUDE.md", "packages/a/CLAUDE.md", True),
        ("**/CLAUDE.md", ".github/CLAUDE.md", False),
        ("CLAUDE.md", "CLAUDE.md", True),
        ("docs/**", "docs/.gitattributes", False),
        (".yarnrc*", ".yarnrc.yml", True),
        (".orchestrator/lessons/**", ".orchestrator/config.toml", False),
        (".orchestrator/lessons/**", ".orchestrator/lessons/a.md", True),
    ],
)
def test_protected_paths_need_an_entry_that_names_them(
    allow: str, path: str, allowed: bool
) -> None:
    assert (violation(Boundaries((check_glob(allow, where="test"),)), path) is None) == allowed


def test_naming_one_protected_path_does_not_open_it_to_another_entry() -> None:
    boundaries = Boundaries((".github/workflows/**", "**"))
    assert violation(boundaries, ".github/workflows/a.yml") is None
    assert violation(boundaries, ".github/CODEOWNERS") is not None


def test_mounts_of_an_example() -> None:
    folders = {"src", "src/api", "src/api/vendor", "docs"}
    plan = plan_mounts(
        Boundaries(
            ("src/api/**", "src/api/deep/", "docs", "tests/", "README.md", "web/*/", "lib/*.py"),
            ("src/api/vendor/**", "docs/new/", "**/*.lock"),
        ),
        folders.__contains__,
    )
    assert plan.writable == (".",)
    assert plan.protected[:2] == ("src/api/vendor", "docs/new")
    assert {".github", ".orchestrator", "Jenkinsfile"} <= set(plan.protected)
    assert plan.labels == (
        ("src/api/**", "kernel-exact"),
        ("src/api/deep/", "kernel-exact"),
        ("docs", "kernel-exact"),
        ("tests/", "kernel-exact"),
        ("README.md", "import-only"),
        ("web/*/", "kernel-parent+import"),
        ("lib/*.py", "kernel-parent+import"),
        ("!src/api/vendor/**", "kernel-exact"),
        ("!docs/new/", "import-only"),
        ("!**/*.lock", "import-only"),
    )


def test_mounts_without_an_allow_list_are_the_whole_tree() -> None:
    plan = plan_mounts(Boundaries(), lambda _: False)
    assert (plan.writable, plan.labels) == ((".",), ())
    assert all(literal_prefix(glob) in {"", *plan.protected} for glob in PROTECTED)


def test_nested_directories_are_mounted_once() -> None:
    plan = plan_mounts(Boundaries(("a/b/**", "a/**", "ab/", "a/c/d/")), lambda _: True)
    assert plan.writable == ("a", "ab")


def test_a_wider_list_takes_the_exactness_of_a_directory_that_it_does_not_cover() -> None:
    def label(allow: str, *within: str) -> str:
        return plan_mounts(Boundaries((allow,), (), (within,)), lambda _: True).labels[0][1]

    assert label("src/api/**", "src/**") == "kernel-exact"
    assert label("src/api/**", "docs/**", "**") == "kernel-exact"
    assert label("src/api/**", "src/api/") == "kernel-exact"
    assert label("src/**", "src/api/**") == "kernel-parent+import"
    assert label("src/**", "src/*.py") == "kernel-parent+import"
    assert label("srcs/**", "src/**") == "kernel-parent+import"


@given(
    st.lists(CHECKED, min_size=1, max_size=3),
    st.lists(CHECKED, max_size=2),
    st.lists(st.lists(CHECKED, min_size=1, max_size=2), max_size=2),
    PATHS,
)
@example(["a/*/"], [], [], "a/b")
@example(["a/**"], [], [["b/**"]], "a/x")
@example(["a/**"], ["a/b/**"], [], "a/b/x")
def test_mounts_keep_their_word(
    allow: list[str], deny: list[str], within: list[list[str]], path: str
) -> None:
    """An allowed path is writable; where all is kernel-exact, nothing else that exists is."""
    boundaries = Boundaries(tuple(allow), tuple(deny), tuple(map(tuple, within)))
    plan = plan_mounts(boundaries, lambda _: True)

    def below(folder: str) -> bool:
        return folder == "." or path.startswith(f"{folder}/")

    kernel = any(map(below, plan.writable)) and not any(
        below(folder) or path == folder for folder in plan.protected
    )
    assert (
        kernel
        or violation(boundaries, path) is not None
        or path in (*plan.writable, *plan.protected)
    )
    if all(label == "kernel-exact" for _, label in plan.labels):
        assert not kernel or violation(boundaries, path) is None


def test_braces_around_one_name_are_not_shown() -> None:
    shown = {"src/{b1.txt}": "src/b1.txt", "{a}": "a", "{a,b}/{c}": "{a,b}/c", "src/**": "src/**"}
    assert {glob: as_written(glob) for glob in shown} == shown
