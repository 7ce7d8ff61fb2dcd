"""The doctor, where something is missing."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.canaries import PROMISES, Proof
from agentflow.doctor import Check, examine, is_good
from agentflow.plan_checks import mount_plan
from agentflow.records import Boundaries
from agentflow.sandbox import Choice
from agentflow.trust import grant, widening
from agentflow.workspace.repository import Repository
from agentflow.world import World
from tests.init.conftest import make_repository

CONFIG = ".orchestrator/config.toml"
GATE = '[[gates]]\nname = "test"\ncommand = "test -f a.txt"\n'
BAD = {"missing", "wrong"}
ALL_HOLD = tuple(Proof(promise) for promise in PROMISES)
NOW = {"ANTHROPIC_API_KEY": "k"}


@pytest.fixture
def server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def look(
    tmp_path: Path,
    config: str | None = GATE,
    environment: dict[str, str] | None = None,
    user: str = "",
    reason: str | None = None,
) -> dict[str, Check]:
    """What the doctor finds, by name; a name that stands twice counts by its worst."""
    files: dict[str, str | dict[str, object]] = {"a.txt": "a", "run.sh": "true"}
    repository = make_repository(tmp_path / "r", files | ({CONFIG: config} if config else {}))
    return examined(tmp_path, repository, environment, user, reason)


def examined(
    tmp_path: Path,
    repository: Repository,
    environment: dict[str, str] | None = None,
    user: str = "",
    reason: str | None = None,
    directory: Path | None = None,
) -> dict[str, Check]:
    folder = tmp_path / "config" / "agentflow"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(user)
    variables = {
        **repository.git.environment,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        **(environment or {}),
    }
    world = World(directory or repository.root, variables, tmp_path / "cache")
    problem, _, remedy = (reason or "").partition("; ")
    checks = examine(
        world, lambda wanted: Choice(wanted, problem, remedy), lambda: ALL_HOLD, lambda: "0.12.0"
    )
    return {check.name: check for check in sorted(checks, key=lambda c: c.status in BAD)}


def test_all_is_well_with_a_server_on_this_machine(tmp_path: Path, server: int) -> None:
    found = look(tmp_path, user=f'base_url = "http://127.0.0.1:{server}"\n')
    assert {check.status for check in found.values()} == {"ok"}
    assert list(found) == [
        "git", "cache", "repository", "disk", "config", "trust", "sandbox", *PROMISES, "toolchain",
        "key", "server",
    ]  # fmt: skip
    assert found["server"] == Check("server", "ok", f"127.0.0.1:{server} accepts connections")
    assert found["config"].detail == "valid; gates: test"
    assert found["toolchain"].detail == "found: test"
    assert found["key"].detail == "a server on this machine needs none"


def test_nobody_listens(tmp_path: Path, server: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = look(tmp_path, user=f'base_url = "http://127.0.0.1:{port}"\n')
    assert found["server"].status == "missing"
    assert found["server"].detail == f"127.0.0.1:{port} does not answer: Connection refused"


def test_no_key_is_sent_and_only_its_variable_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = f"http://ada:s3cret@127.0.0.1:{listener.getsockname()[1]}"
        found = look(
            tmp_path,
            environment={"ANTHROPIC_API_KEY": "sk-s3cret", "HTTPS_PROXY": proxy},
        )
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            assert connection.recv(100) == b""
    assert found["key"] == Check("key", "ok", "ANTHROPIC_API_KEY is set")
    assert found["server"].detail.endswith(" (a proxy) accepts connections")
    assert "s3cret" not in str(found)


@pytest.mark.parametrize("spared", ["*", "example.com, anthropic.com", ".api.anthropic.com"])
def test_a_proxy_that_is_not_for_this_host(tmp_path: Path, spared: str) -> None:
    proxy = {"https_proxy": "http://127.0.0.1:1", "no_proxy": spared}
    found = look(tmp_path, environment={**NOW, **proxy})
    assert found["server"].detail.startswith("api.anthropic.com:443")


def test_a_missing_key_names_the_variable(tmp_path: Path, server: int) -> None:
    user = f'base_url = "http://127.0.0.1:{server}"\nkey_variable = "MINE"\n'
    found = look(tmp_path, user=user)
    assert found["key"].status == "missing"
    assert found["key"].remedy.startswith("Run `export MINE=…`")
    assert found["server"].status == "ok"


LOCAL = 'base_url = "http://127.0.0.1:1"\n'


@pytest.mark.parametrize(
    ("config", "name", "detail", "remedy"),
    [
        (None, "config", "no gate is configured that runs here", "agentflow init"),
        ('prompt = "x"', "config", "no gate is configured that runs here", "Add [[gates]] to"),
        (f'{GATE}where = "ci"', "config", "no gate is configured that runs here", "Add [[gates]]"),
        ("[[gates]", "config", f"{CONFIG}: not valid TOML", ""),
        (f'land = "none"\n{GATE}', "config", "land may not be set by a repository", "Set it in"),
        (
            f'{GATE}[environment]\nsetup = "true"\nenv_from = ["TOKEN"]',
            "config", "the variable TOKEN, which env_from passes on, is not set", "export TOKEN=…",
        ),
        (
            f'{GATE}[environment]\nsetup = "true"\nnetwork = ["a.example"]',
            "trust", "environment.network", "agentflow trust",
        ),
        (
            GATE.replace("test -f", "no-such-program"),
            "toolchain", "test runs 'no-such-program', which is neither", "Install no-such-program",
        ),
        (
            f'{GATE}[environment]\nsetup = "no-such-setup now"',
            "toolchain", "setup runs 'no-such-setup'", "Install no-such-setup",
        ),
    ],
)  # fmt: skip
def test_what_a_configuration_lacks(
    tmp_path: Path, config: str | None, name: str, detail: str, remedy: str
) -> None:
    found = look(tmp_path, config, user=LOCAL)
    invalid = name == "config" and "no gate" not in detail
    assert found[name].status == ("wrong" if invalid else "missing")
    assert detail in found[name].detail
    assert found[name].remedy.startswith(remedy)


@pytest.mark.parametrize(
    "command", ["if true; then true; fi", "./run.sh", ".venv/bin/tool x", "A=1 [ a ]", "$X"]
)
def test_words_that_are_no_programs_of_this_machine(tmp_path: Path, command: str) -> None:
    gate = f'[[gates]]\nname = "test"\ncommand = "{command}"\n'
    found = look(tmp_path, f'{gate}[environment]\nsetup = "true"\nprovides = [".venv"]', user=LOCAL)
    assert found["toolchain"].status == "ok"


def test_builtins_of_the_shell_are_not_listed_as_programs(tmp_path: Path) -> None:
    gate = '[[gates]]\nname = "test"\ncommand = ". .venv/bin/activate && x"\n'
    more = '[[gates]]\nname = "list"\ncommand = "ls"\n'
    found = look(tmp_path, gate + more, user=LOCAL)["toolchain"]
    assert (found.status, found.detail) == ("ok", "found: ls")


def test_key_files_that_are_not_there(tmp_path: Path) -> None:
    config = f'{GATE}[environment]\nsetup = "true"\nkey = ["package-lok.json"]\n'
    repository = make_repository(tmp_path / "r", {CONFIG: config, "a.txt": "a"})
    found = examined(tmp_path, repository, user=LOCAL)["config"]
    assert (found.status, "package-lok.json" in found.detail) == ("warning", True)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "r", {CONFIG: f'{GATE}cwd = "nowhere"\n', "a.txt": "a"})
    checks = examined(tmp_path, repository, user=LOCAL)
    assert checks["config"].status == "warning"
    assert "test starts in 'nowhere'" in checks["config"].detail


def test_what_was_granted_is_not_asked_for(tmp_path: Path) -> None:
    wish = {"environment": {"setup": "true", "network": ["a.example"]}}
    config = f'{GATE}[environment]\nsetup = "true"\nnetwork = ["a.example"]\n'
    repository = make_repository(tmp_path / "r", {CONFIG: config, "a.txt": "a"})
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    grant(repository.common_dir, environment, widening(wish))
    assert examined(tmp_path, repository, user=LOCAL)["trust"] == Check("trust", "ok", "granted")


def test_a_configuration_that_is_not_committed(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "r", {"a.txt": "a"})
    (repository.root / ".orchestrator").mkdir()
    (repository.root / CONFIG).write_text(GATE)
    found = examined(tmp_path, repository, user=LOCAL)["config"]
    assert (found.status, found.detail) == ("missing", f"{CONFIG} is not in the last commit")
    assert found.remedy.startswith("git add .orchestrator ")
    below = repository.root / "app"
    below.mkdir()
    below_it = examined(tmp_path, repository, user=LOCAL, directory=below)["config"]
    assert below_it.remedy.startswith("git add ../.orchestrator ")


def test_the_sandbox(tmp_path: Path) -> None:
    reason = "bubblewrap is not installed; apt-get install bubblewrap"
    found = look(tmp_path, user=LOCAL, reason=reason)["sandbox"]
    expected = Check(
        "sandbox", "missing", "bubblewrap is not installed", "apt-get install bubblewrap"
    )
    assert found == expected
    turned_off = look(tmp_path / "2", user=f'{LOCAL}sandbox = "none"\n', reason=reason)["sandbox"]
    assert turned_off.status == "warning"


def test_a_promise_that_does_not_hold_is_wrong(tmp_path: Path) -> None:
    world = replace(World(), directory=tmp_path, cache=tmp_path / "cache")
    broken = Proof("network", "an agent can reach 127.0.0.1:80")
    checks = examine(world, Choice, lambda: (Proof("writes"), broken), lambda: "0.12.1")
    found = {check.name: check for check in checks}
    assert found["writes"] == Check("writes", "ok", "nothing outside the boundaries can be written")
    assert (found["network"].status, found["network"].detail) == ("wrong", broken.broken)
    assert found["network"].remedy.startswith("allow network namespaces")
    assert not is_good([found["network"]])


@pytest.mark.parametrize(
    ("version", "warned"),
    [("0.8.0", True), ("0.11.9", True), ("0.12.0", False), ("1.0", False), ("", False)],
)
def test_an_old_bubblewrap_is_a_warning(tmp_path: Path, version: str, warned: bool) -> None:
    world = replace(World(), directory=tmp_path, cache=tmp_path / "cache")
    checks = examine(world, Choice, lambda: ALL_HOLD, lambda: version)
    told = [check for check in checks if check.name == "bubblewrap"]
    assert [check.status for check in told] == ["warning"] * warned
    assert all(f"{version} is older than 0.12" in check.detail for check in told)
    assert not warned or is_good(told)


def test_outside_of_a_repository(tmp_path: Path) -> None:
    world = replace(World(), directory=tmp_path, cache=tmp_path / "file" / "cache")
    (tmp_path / "file").write_text("")
    found = {check.name: check.status for check in examine(world, Choice, lambda: (), lambda: "")}
    assert found == {"git": "ok", "cache": "missing", "sandbox": "ok", "repository": "missing"}


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    world = World(tmp_path, {"PATH": str(tmp_path)}, tmp_path / "cache")
    found = {check.name: check for check in examine(world, Choice, lambda: (), lambda: "")}
    assert found["git"] == Check("git", "missing", "git is not installed", "apt-get install git")


def test_it_says_who_enforces_the_configured_boundaries(tmp_path: Path) -> None:
    config = f'allow = ["src/**", "*.md"]\ndeny = ["src/gen/"]\n{GATE}'
    files: dict[str, str | dict[str, object]] = {
        "a.txt": "a", "src/a.py": "", "src/gen/b.py": "", CONFIG: config,
    }  # fmt: skip
    repository = make_repository(tmp_path / "r", files)

    found = examined(tmp_path, repository)["boundaries"]

    labels = "src/** kernel-exact, *.md import-only, !src/gen/ kernel-exact"
    assert found == Check("boundaries", "ok", labels)
    reduced = mount_plan(
        Boundaries(("src/**",), ("src/gen/", "docs/")),
        frozenset({"src/gen/b.py", "docs/a"}),
        "landlock",
    )
    assert reduced.labels == (
        ("src/**", "kernel-exact"), ("!src/gen/", "import-only"), ("!docs/", "kernel-exact"),
    )  # fmt: skip
