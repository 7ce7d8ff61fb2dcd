"""What git does not hold, shown in the work tree: read-only, with scratch, from one place only."""

import socket
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.records import Backend
from agentflow.sandbox import open_sandbox
from agentflow.sandbox.policy import Mount, Policy, Provided

BACKENDS = [pytest.param("bubblewrap", marks=pytest.mark.sandbox), "none"]

pytestmark = pytest.mark.usefixtures("bwrap")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Installed dependencies, outside of the tree."""
    store = tmp_path / "store"
    (store / ".cache/deep").mkdir(parents=True)
    (store / "module").write_text("installed\n")
    (store / ".cache/old").write_text("old\n")
    (store / "link").symlink_to(".cache")
    return store


async def _run(policy: Policy, command: str, backend: Backend = "bubblewrap") -> list[str]:
    async with open_sandbox(backend, policy) as channel:
        result = await channel.call("Bash", {"command": command, "timeout": 20})
    return str(result["output"]).splitlines()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.sandbox
async def test_a_provided_directory_is_read_only_but_for_its_scratch(
    tree: Path, store: Path
) -> None:
    (tree / "apps/web/node_modules").mkdir()
    provided = (
        Provided(store, "node_modules", scratch=(".cache",)),
        Provided(store, "apps/web/node_modules/"),
    )
    script = (
        "cat node_modules/module apps/web/node_modules/module; "
        "for f in node_modules/{new,module,.cache/new} apps/web/node_modules/.cache/new; do "
        "(echo x > $f) 2>/dev/null && echo $f; done; ls node_modules/.cache; "
        "echo $(df -B1 --output=size node_modules/.cache | tail -1); "
        "rm -rf node_modules 2>/dev/null; ls -d node_modules"
    )
    policy = Policy(tree=tree, provided=provided, scratch_size=2**20)
    assert await _run(policy, script) == [
        "installed",
        "installed",
        "node_modules/.cache/new",
        "new",
        str(2**20),
        "node_modules",
    ]
    assert _names(tree / "node_modules") == []
    assert _names(store) == [".cache", "link", "module"]
    assert _names(store / ".cache") == ["deep", "old"]


async def test_without_a_sandbox_it_is_copied_where_nothing_is(tree: Path, store: Path) -> None:
    (tree / "apps/web/node_modules").mkdir()
    provided = (
        Provided(store, "deep/node_modules", scratch=(".cache",)),
        Provided(store, "apps/web/node_modules"),
    )
    script = (
        "cat deep/node_modules/module; echo x > deep/node_modules/module; ls apps/web/node_modules"
    )
    assert await _run(Policy(tree=tree, provided=provided), script, "none") == ["installed"]
    assert (store / "module").read_text() == "installed\n"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "path",
    ["linked", "linked/node_modules", "../out", "/etc/x", ".", "", ".git", ".Git/hooks", "a\0"],
)
async def test_a_path_that_leaves_the_tree_is_refused(
    tree: Path, store: Path, backend: Backend, path: str
) -> None:
    outside = tree.parent / "outside"
    outside.mkdir()
    (tree / "linked").symlink_to(outside)
    with pytest.raises(UsageError):
        await _run(Policy(tree=tree, provided=(Provided(store, path),)), "true", backend)
    assert list(outside.iterdir()) == []
    assert not (tree.parent / "out").exists()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "scratch", ["gone", "module", "link", "link/deep", "..", "../x", "/tmp", "."]
)
async def test_scratch_must_be_a_directory_of_the_source(
    tree: Path, store: Path, backend: Backend, scratch: str
) -> None:
    policy = Policy(tree=tree, provided=(Provided(store, "node_modules", (scratch,)),))
    with pytest.raises(EnvironmentFailure) as caught:
        await _run(policy, "true", backend)
    assert caught.value.message == (
        f"{scratch!r}, which environment.scratch names, is no directory in 'node_modules'"
    )


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_source_that_is_no_directory_is_refused(
    tree: Path, store: Path, backend: Backend
) -> None:
    (store.parent / "alias").symlink_to(store)
    for name in ("gone", "store/module", "alias"):
        provided = Provided(store.parent / name, "node_modules")
        with pytest.raises(EnvironmentFailure, match="which is provided at 'node_modules', cannot"):
            await _run(Policy(tree=tree, provided=(provided,)), "true", backend)


@pytest.mark.sandbox
async def test_no_mount_shows_a_socket_of_this_machine(
    tree: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind("agent")
        for policy in (
            Policy(tree=tree, provided=(Provided(store, "node_modules"),)),
            Policy(tree=tree, mounts=(Mount(store, "/opt/store"),)),
            Policy(tree=tree, mounts=(Mount(store / "agent", "/opt/agent"),)),
            Policy(tree=tree, mounts=(Mount(store / "agent", "/opt/agent", writable=True),)),
        ):
            with pytest.raises(EnvironmentFailure, match="agent is a socket of this machine"):
                await _run(policy, "true")
        # The agent's own folder may hold what its dead processes left.
        own = Policy(tree=tree, mounts=(Mount(store, "/run/agentflow/git", writable=True),))
        assert await _run(own, "echo ok") == ["ok"]
