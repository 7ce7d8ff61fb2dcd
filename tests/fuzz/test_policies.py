"""Boundaries of any task, as mounts in any work tree: nothing but what they name is mounted."""

import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.globs import check_glob
from agentflow.mount_plan import plan_mounts
from agentflow.records import WORKSPACE, Boundaries
from agentflow.sandbox.descriptors import Descriptors
from agentflow.sandbox.policy import Policy
from agentflow.sandbox.tree import TreeMounts
from tests.fuzz.trees import TREES, Tree, build, everything, is_folder

GLOBS = st.lists(
    st.lists(
        st.sampled_from(["a", "b", "c", "*", "**", "a*", "{a,b}", "..", ".", ".git", ""]),
        min_size=1,
        max_size=3,
    ).map("/".join),
    max_size=3,
)


def checked(globs: list[str]) -> tuple[str, ...]:
    """Those that a task may name."""
    found = list[str]()
    for glob in globs:
        try:
            found.append(check_glob(glob, where="task"))
        except UsageError:
            continue
    return tuple(found)


@given(TREES, GLOBS, GLOBS)
@example({"a": "../outside"}, ["a/"], [])
@example({"a": {"b": "/oldroot/etc"}}, ["a/b/c/"], [])
@example({"a": {"b": None}}, ["a/**"], ["a/b"])
def test_mounts_are_of_the_tree_and_only_of_what_is_named(
    tree: dict[str, Tree], allow: list[str], deny: list[str]
) -> None:
    plan = plan_mounts(
        Boundaries(checked(allow), checked(deny)), lambda path: is_folder(tree, path)
    )
    with tempfile.TemporaryDirectory() as name, Descriptors() as descriptors:
        folder = Path(name).resolve()
        build(folder / "tree", tree)
        build(folder / "outside", {"a": None, "c": {"a": None}})
        before = [*everything(folder / "outside")]
        policy = Policy(folder / "tree", writable=plan.writable, protected=plan.protected)
        try:
            options = [*TreeMounts(policy, descriptors, by_descriptor=True).options()]
        except (UsageError, EnvironmentFailure):
            options = []
        mounts = [
            (
                option == "--bind-fd",
                Path("/proc/self/fd", options[at + 1]).readlink(),
                options[at + 2],
            )
            for at, option in enumerate(options)
            if option.endswith("bind-fd")
        ]
        for writable, source, target in mounts:
            path = str(Path(target).relative_to(WORKSPACE))
            assert source == folder / "tree" / path
            assert not writable or path in plan.writable
            assert not writable or path.split("/")[0] != ".git"
        assert [*everything(folder / "outside")] == before
        assert sorted(each.name for each in folder.iterdir()) == ["outside", "tree"]
