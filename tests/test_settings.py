"""Settings: which source wins, what a repository may say, and errors that name their source."""

from pathlib import Path
from typing import Any

import pytest

from agentflow.configuration import RULES, Settings
from agentflow.errors import UsageError
from agentflow.records import Boundaries, BuildCommand, Limits, ProcessLimits, Task
from agentflow.setting_tables import EnvironmentSetting, GateSetting, Price, SandboxSetting
from agentflow.settings import CONFIG, load_settings, resolve_settings, user_file
from agentflow.trust import NOTHING, Trust


class Sources:
    """What each source says."""

    def __init__(self, home: Path) -> None:
        self.user = home / "agentflow" / "config.toml"
        self.environment = {"XDG_CONFIG_HOME": str(home)}

    def load(
        self,
        *,
        user: str = "",
        repository: str | None = None,
        environment: dict[str, str] | None = None,
        task: Task | None = None,
        trust: Trust = NOTHING,
        **flags: Any,
    ) -> Settings:
        self.user.parent.mkdir(exist_ok=True)
        self.user.write_text(user)
        return load_settings(
            flags,
            {**self.environment, **(environment or {})},
            repository,
            task or Task("TASK-1", "title", "text"),
            trust,
        )

    def refusal(self, **sources: Any) -> UsageError:
        with pytest.raises(UsageError) as caught:
            self.load(**sources)
        return caught.value


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def task(**fields: Any) -> Task:
    return Task("TASK-1", "title", "text", **fields)


def test_nothing_said_means_the_defaults(tmp_path: Path) -> None:
    nobody = {"HOME": str(tmp_path)}
    settings = load_settings({}, nobody, None, task())
    assert settings == Settings()
    assert settings.limits == Limits()
    assert settings.boundaries == Boundaries()
    assert settings.commands == ()


def test_the_user_s_file_follows_the_environment() -> None:
    assert user_file({"XDG_CONFIG_HOME": "/x"}) == Path("/x/agentflow/config.toml")
    assert user_file({"HOME": "/h"}) == Path("/h/.config/agentflow/config.toml")
    assert user_file({"HOME": "/h", "XDG_CONFIG_HOME": ""}) == user_file({"HOME": "/h"})


def test_every_field_has_a_rule() -> None:
    assert set(RULES.values()) == {"override", "narrow", "user-only"}
    assert {name for name, rule in RULES.items() if rule == "override"} == {
        "prompt", "profile", "gates", "environment", "services", "variables", "checklist", "secrets",
        "queue", "documents",
    }  # fmt: skip
    assert {name for name, rule in RULES.items() if rule == "narrow"} == {
        "model", "max_repairs", "max_turns", "max_cost", "max_tokens", "timeout", "allow", "deny",
        "fallback_model", "max_input_tokens", "max_output_tokens", "sandbox", "context_window",
    }  # fmt: skip


def test_a_user_s_fallback_model_is_no_limit_for_the_repository_s(sources: Sources) -> None:
    repository = "fallback_model = 'haiku'\nmax_input_tokens = 9"
    assert sources.load(repository=repository).fallback_model == "haiku"
    settings = sources.load(
        repository=repository, user="fallback_model = 'opus'\nmax_input_tokens = 7"
    )
    assert (settings.fallback_model, settings.limits.max_input_tokens) == ("opus", 7)


LADDER: list[tuple[str, dict[str, Any]]] = [
    ("repository", {"repository": "prompt = 'repository'\nmodel = 'repository'"}),
    ("user", {"user": "prompt = 'user'\nmodel = 'user'"}),
    (
        "environment",
        {"environment": {"AGENTFLOW_PROMPT": "environment", "AGENTFLOW_MODEL": "environment"}},
    ),
    ("task", {"task": task(prompt="task", model="task")}),
    ("flags", {"prompt": "flags", "model": "flags"}),
]


@pytest.mark.parametrize("height", range(1, len(LADDER) + 1))
def test_the_higher_source_wins(sources: Sources, height: int) -> None:
    said: dict[str, Any] = {}
    for _, source in LADDER[:height]:
        said |= source
    settings = sources.load(**said)
    assert (settings.prompt, settings.model) == (LADDER[height - 1][0],) * 2


@pytest.mark.parametrize("name", ["max_turns", "max_cost", "max_tokens", "timeout", "max_repairs"])
def test_a_repository_lowers_a_limit_and_never_raises_it(sources: Sources, name: str) -> None:
    def limit(user: int | None, repository: int | None, **more: Any) -> float:
        texts = [f"{name} = {value}" if value else "" for value in (user, repository)]
        return getattr(sources.load(user=texts[0], repository=texts[1], **more), name)

    assert limit(5, 3) == 3
    assert limit(5, 9) == 5
    assert limit(5, None) == 5
    assert limit(5, 3, environment={f"AGENTFLOW_{name.upper()}": "2"}) == 2
    assert limit(2, None, environment={f"AGENTFLOW_{name.upper()}": "7"}) == 7
    assert limit(5, 3, **{name: 9}) == 9
    default = getattr(Settings(), name)
    assert limit(None, 9) == (9 if default is None else min(9, default))
    assert limit(None, None) == default


def test_a_task_lowers_limits_and_never_raises_them(sources: Sources) -> None:
    low = task(max_turns=5, max_cost=1.0, timeout=60.0)
    assert sources.load(task=low).limits == Limits(5, 1.0, None, 60.0, 2)
    assert sources.load(task=low, user="max_turns = 4\nmax_cost = 0.5\ntimeout = 30").limits == (
        Limits(4, 0.5, None, 30.0, 2)
    )
    assert sources.load(task=low, max_turns=500, timeout=90.0).limits.max_turns == 500


def test_of_several_allow_lists_a_path_must_match_every_one(sources: Sources) -> None:
    settings = sources.load(
        user="allow = ['src/**']",
        repository="allow = ['src/api/**']",
        task=task(boundaries=Boundaries(("src/api/a/**",))),
    )
    assert settings.boundaries == Boundaries(("src/api/a/**",), (), (("src/**",), ("src/api/**",)))
    assert sources.load(repository="allow = ['a/']").boundaries == Boundaries(("a/",))
    assert sources.load(user="allow = ['a/']").boundaries == Boundaries(("a/",))


def test_an_empty_allow_list_says_nothing(sources: Sources) -> None:
    settings = sources.load(user="allow = ['src/**']", repository="allow = []")
    assert settings.boundaries == Boundaries(("src/**",))


def test_the_allow_flag_replaces_all_lists(sources: Sources) -> None:
    settings = sources.load(
        user="allow = ['src/**']",
        repository="allow = ['src/api/**']",
        task=task(boundaries=Boundaries(("src/api/a/**",), ("x",))),
        allow=["docs/**"],
    )
    assert settings.boundaries == Boundaries(("docs/**",), ("x",))


def test_denials_of_all_sources_are_added(sources: Sources) -> None:
    settings = sources.load(
        user="deny = ['a', 'b']",
        repository="deny = ['c', 'a']",
        task=task(boundaries=Boundaries((), ("d",))),
        deny=["e"],
    )
    assert settings.deny == ("a", "b", "c", "d", "e")


def test_gates_of_all_sources_are_joined_by_name(sources: Sources) -> None:
    def table(name: str, command: str) -> str:
        return f"[[gates]]\nname = '{name}'\ncommand = '{command}'\n"

    settings = sources.load(
        repository=table("test", "r") + table("lint", "r") + "timeout = '2m'\n",
        user=table("test", "u"),
        task=task(gates=(BuildCommand("lint", "t"), BuildCommand("types", "t", 5.0))),
        gates=[{"name": "types", "command": "f"}],
    )
    assert settings.commands == (
        BuildCommand("test", "u"),
        BuildCommand("lint", "t"),
        BuildCommand("types", "f"),
    )
    lone = sources.load(repository=table("lint", "r") + "timeout = '2m'\n")
    assert lone.gates == (GateSetting(name="lint", command="r", timeout=120.0),)


@pytest.mark.parametrize(
    "said",
    [
        "base_url = 'http://evil'", "key_variable = 'X'",
        "setup_network = 'host'", "allow_red_base = true", "allow_foreign_head = true", "commit.sign = false", "land = 'current'", "target = 'main'", "models = ['x']", "within = [['x']]",
        "[prices.x]\ninput = 0\noutput = 0",
    ],
)  # fmt: skip
def test_a_repository_may_not_set_what_is_the_user_s(sources: Sources, said: str) -> None:
    name = said.split("=")[0].strip(" []").split(".")[0].split("\n")[0]
    error = sources.refusal(repository=said)
    assert error.message == f"{CONFIG}: {name} may not be set by a repository"
    assert str(sources.user) in error.hint
    sources.load(user=said)


def test_limits_of_the_sandbox_are_lowered_each_alone(sources: Sources) -> None:
    table = "[sandbox]\nmemory = '{}'\nprocesses = {}\n"
    found = sources.load(
        user="[sandbox]\nmemory = '8GiB'\ncpu = '1h'\nfile_size = 1000",
        repository=table.format("16GiB", 100),
        environment={"AGENTFLOW_SANDBOX": "none"},
    ).sandbox
    assert (found.backend, found.memory, found.processes) == ("none", 8 << 30, 100)
    assert found.limits == ProcessLimits(8 << 30, 100, 3600, 1000)
    assert sources.load(repository=table.format("1TB", 9999)).sandbox == SandboxSetting()
    assert sources.load(repository=table.format("1 MB", 64)).sandbox.limits == ProcessLimits(
        10**6, 64
    )
    high = sources.load(user=table.format("64GiB", 64), sandbox="bubblewrap").sandbox
    assert (high.backend, high.memory, high.processes) == ("bubblewrap", 64 << 30, 64)
    assert sources.load(repository="[sandbox]\nupload = '30MB'").sandbox.upload == 20_000_000
    assert sources.load(repository="[sandbox]\nupload = '1MB'").sandbox.upload == 10**6
    own = sources.load(user="sandbox.upload = '1GB'", repository="sandbox.upload = '2GB'")
    assert own.sandbox.upload == 10**9
    for said in ("[sandbox]\nbackend = 'auto'", "sandbox = 'none'"):
        error = sources.refusal(repository=said)
        assert error.message == f"{CONFIG}: sandbox.backend may not be set by a repository"


def test_prices_and_durations_are_read(sources: Sources) -> None:
    settings = sources.load(
        user="timeout = '1h30m'\n[prices.local]\ninput = 1\noutput = 2.5",
    )
    assert (settings.timeout, settings.prices) == (
        5400.0,
        {"local": Price.model_validate({"input": 1.0, "output": 2.5})},
    )
    assert sources.load(environment={"AGENTFLOW_TIMEOUT": "45s"}).timeout == 45.0


def test_the_environment_sets_single_values_only(sources: Sources) -> None:
    settings = sources.load(
        environment={
            "AGENTFLOW_SANDBOX": "none",
            "AGENTFLOW_MAX_COST": "2.5",
            "AGENTFLOW_MODEL": "",
            "AGENTFLOW_ALLOW": "src/**",
            "AGENTFLOW_PRICES": "x",
            "AGENTFLOW_CI": "1",
        }
    )
    assert settings == Settings(sandbox=SandboxSetting(backend="none"), max_cost=2.5)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"user": "max_turn = 1"},
            "{user}: there is no setting 'max_turn'; did you mean 'max_turns'?",
        ),
        ({"repository": "x = 1"}, "{config}: there is no setting 'x'"),
        (
            {"user": "max_turns = 0"},
            "{user}: max_turns: it must be 1 or more (given: 0)",
        ),
        ({"user": "max_cost = nan"}, "{user}: max_cost: it must be a finite number"),
        ({"user": "timeout = inf"}, "{user}: timeout: it must be a finite number"),
        ({"user": "sandbox.memory = '4 mb3'"}, "{user}: sandbox.memory: not a size"),
        ({"user": "sandbox.memory = 0"}, "{user}: sandbox.memory: it must be more than 0"),
        (
            {"repository": "sandbox.processes = 1"},
            "{config}: sandbox.processes: it must be 16 or more",
        ),
        ({"repository": "sandbox.read = []"}, "{config}: sandbox: unknown key 'read'"),
        ({"repository": "sandbox = 5"}, "{config}: sandbox: it must hold keys and their values"),
        ({"user": "timeout = '5 min'"}, "{user}: timeout: not a duration like 45m"),
        ({"user": "a ="}, "{user}: not valid TOML: "),
        ({"user": "max_cost = true"}, "{user}: max_cost: neither true nor false can stand here"),
        (
            {"repository": "[sandbox]\nprocesses = true"},
            "{config}: sandbox.processes: neither true nor false",
        ),
        (
            {"repository": "[[gates]]\nname='a'\ncommand='x'\n[[gates]]\nname='a'\ncommand='y'"},
            "{config}: two gates have the name 'a'",
        ),
        ({"user": "a = " + "[" * 20_000}, "{user}: not valid TOML: it nests too deeply"),
        ({"user": "a = " + "9" * 5000}, "{user}: not valid TOML: "),
        ({"user": "allow = ['../x']"}, "{user}: allow: the boundary '../x' leaves"),
        ({"repository": "deny = ['/x']"}, "{config}: deny: the boundary '/x' must be relative"),
        ({"user": "readable = ['x']"}, "{user}: readable.0: it must begin with `/`"),
        (
            {"repository": "[[gates]]\nname='a b'\ncommand='x'"},
            "{config}: gates.0.name: it must be a name",
        ),
        (
            {"repository": "[[gates]]\nname='lint'\ncommand='x'\nmax_csot=1"},
            "{config}: gates.lint: unknown key 'max_csot'",
        ),
        (
            {"repository": "[[gates]]\nname='lint'\ncomand='x'"},
            "{config}: gates.lint: unknown key 'comand'; did you mean 'command'?",
        ),
        (
            {"repository": "[[gates]]\nname='a'\ncommand=''"},
            "{config}: gates.a.command: it is empty",
        ),
        (
            {"user": "[prices.'m.x']\ninputt = 1\noutput = 2"},
            "{user}: prices.m.x: unknown key 'inputt'; did you mean 'input'?",
        ),
        (
            {"repository": "[variables]\nA = {comand = 'x'}"},
            "{config}: variables.A: unknown key 'comand'; did you mean 'command'?",
        ),
        (
            {"user": "sandbox.open_files = 4000000000"},
            "{user}: sandbox.open_files: it must be 1073",
        ),
        (
            {"environment": {"AGENTFLOW_MAX_TURNS": "x"}},
            "AGENTFLOW_MAX_TURNS: max_turns: it must be a whole number",
        ),
        ({"environment": {"AGENTFLOW_LAND": "x"}}, "AGENTFLOW_LAND: land: it must be"),
        ({"task": task(timeout=0.0)}, "task TASK-1: timeout: it must be more than 0"),
        ({"max_turns": 0}, "flags: max_turns: it must be"),
        ({"deny": ["!x"]}, "flags: deny: the boundary '!x' is a negation"),
    ],
)
def test_an_error_names_its_source_and_key(
    sources: Sources, said: dict[str, Any], message: str
) -> None:
    start = message.format(user=sources.user, config=CONFIG)
    error = sources.refusal(**said)
    assert error.message.startswith(start)
    assert len(error.message) < 400


def test_a_user_s_file_that_cannot_be_read_is_named(sources: Sources) -> None:
    sources.user.parent.mkdir()
    sources.user.write_bytes(b"a = '\xff'")
    with pytest.raises(UsageError, match=rf"^{sources.user} is not UTF-8 text \(byte 5\)"):
        load_settings({}, sources.environment, None, task())
    sources.user.unlink()
    sources.user.mkdir()
    with pytest.raises(UsageError, match=rf"^cannot read {sources.user}: Is a directory"):
        load_settings({}, sources.environment, None, task())


WIDE = """
readable = ['/opt/b', '/opt/a']
[environment]
setup = 'npm ci'
network = ['registry.example']
"""
WIDE_WORDS = """environment.network = [
  "registry.example",
]
environment.setup = "npm ci"
readable = [
  "/opt/b",
  "/opt/a",
]
"""


def test_what_widens_a_repository_s_reach_needs_the_user_s_trust(sources: Sources) -> None:
    error = sources.refusal(repository=WIDE)
    assert error.message == (
        f"{CONFIG} asks for what only you may grant: environment.network, readable"
    )
    assert "`agentflow trust`" in error.hint
    settings = sources.load(repository=WIDE, trust=Trust(WIDE_WORDS))
    assert settings.readable == ("/opt/b", "/opt/a")
    assert settings.environment.network == ("registry.example",)


def test_a_list_for_the_agent_needs_trust_and_not_that_of_setup(sources: Sources) -> None:
    wide = "[environment.agent]\nnetwork = ['a.example']"
    error = sources.refusal(repository=wide)
    assert error.message == f"{CONFIG} asks for what only you may grant: environment.agent.network"
    granted = Trust('environment.agent.network = [\n  "a.example",\n]\n')
    agent = sources.load(repository=wide, trust=granted).environment.agent
    assert agent.network == ("a.example",)
    assert sources.load(user=wide).environment.agent.network == ("a.example",)
    for place in ("gates", "variables"):
        assert "network" in sources.refusal(repository=wide.replace("agent", place)).message


def test_a_repository_s_setup_without_network_needs_no_trust(sources: Sources) -> None:
    settings = sources.load(repository="[environment]\nsetup = 'make'\nnetwork = []")
    assert settings.environment == EnvironmentSetting(setup="make")


def test_the_user_s_own_file_needs_no_trust(sources: Sources) -> None:
    settings = sources.load(user=WIDE)
    assert settings.environment.network == ("registry.example",)


def test_a_table_of_the_user_replaces_the_repository_s(sources: Sources) -> None:
    settings = sources.load(
        user="[environment]\nenv_from = ['TOKEN']",
        repository="[environment]\nsetup = 'evil'",
    )
    assert settings.environment == EnvironmentSetting(env_from=("TOKEN",))


def test_paths_to_read_add_up(sources: Sources) -> None:
    settings = sources.load(
        user="readable = ['/opt/a', '/opt/c']", repository=WIDE, trust=Trust(WIDE_WORDS)
    )
    assert settings.readable == ("/opt/b", "/opt/a", "/opt/c")


def test_every_value_knows_who_said_it(sources: Sources) -> None:
    sources.user.parent.mkdir()
    sources.user.write_text(
        "allow = ['src/**']\nmax_turns = 50\nprompt = 'mine'\ndeny = ['a']\nmax_cost = 1"
    )
    gate = "[[gates]]\nname = '{}'\ncommand = 'x'\n"
    resolved = resolve_settings(
        {"land": "none", "deny": ["c"]},
        {**sources.environment, "AGENTFLOW_SANDBOX": "none"},
        "allow = ['src/a/**']\nmax_turns = 60\nmax_cost = 0.5\ndeny = ['b']\nprompt = 'theirs'\n"
        + gate.format("test")
        + gate.format("lint"),
        task(timeout=60.0, gates=(BuildCommand("lint", "y"),)),
    )
    user, shared, own_task = str(sources.user), CONFIG, "task TASK-1"
    assert resolved.sources == {
        "allow": (shared,),
        "within": (user,),
        "max_turns": (user,),
        "max_cost": (shared,),
        "prompt": (user,),
        "deny": (user, shared, "flags"),
        "timeout": (own_task,),
        "land": ("flags",),
        "sandbox": ("AGENTFLOW_SANDBOX",),
        "gates": (shared, own_task),
        "gates.test": (shared,),
        "gates.lint": (own_task,),
    }


def test_the_default_is_nobody_s_word(tmp_path: Path) -> None:
    resolved = resolve_settings({}, {"HOME": str(tmp_path)}, None, task())
    assert (resolved.settings, resolved.sources) == (Settings(), {})
