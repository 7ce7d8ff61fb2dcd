"""Configuration: every setting and table with its type, its default, and who may set it.

Each field of `Settings` has a rule, which says what a repository may do with it:

- `override`: set it;
- `narrow`: only lower it, or add denials, against what the user or the default says (of
  `sandbox` the limits, each alone);
- `user-only`: nothing; a repository that tries is refused.

What widens an agent's reach (`trust.WIDENING`) is refused as well, until the user has trusted
exactly these words of the repository.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from agentflow.environment import (
    Environment,
    Hook,
    Service,
    Setup,
    Variables,
)
from agentflow.errors import UsageError
from agentflow.records import Boundaries, BuildCommand, Landing, Limits, ServerKind
from agentflow.setting_tables import (
    ChecklistSetting,
    CommandVariable,
    CommitSetting,
    DocumentsSetting,
    EnvironmentSetting,
    FileVariable,
    GateSetting,
    HookSetting,
    Price,
    QueueSetting,
    RatesSetting,
    SandboxSetting,
    SecretsSetting,
    ServiceSetting,
    Table,
    as_table,
)
from agentflow.setting_types import AbsolutePath, Seconds

Rule = Literal["override", "narrow", "user-only"]


def user_folder(environment: Mapping[str, str]) -> Path:
    """Where the user's own files are: `$XDG_CONFIG_HOME/agentflow`."""
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '/')}/.config"
    return Path(home) / "agentflow"


class Settings(Table):
    """All settings of one invocation. Each annotation's metadata holds the field's rule."""

    prompt: Annotated[str, "override"] = "agent"
    """The prompt of tasks that name none."""
    profile: Annotated[str | None, "override"] = None
    """The profile of prompts that have no `agentflow:` block; None means what their signs say."""
    model: Annotated[str | None, "narrow"] = None
    """None means what the prompt says."""
    gates: Annotated[tuple[GateSetting, ...], "override"] = ()
    """What must pass on the result."""
    max_repairs: Annotated[int, "narrow", Field(ge=0, le=10)] = 2
    """How often a failed verdict goes back to the agent."""
    max_turns: Annotated[int, "narrow", Field(ge=1)] = 100
    """Replies of the model."""
    max_cost: Annotated[float | None, "narrow", Field(ge=0, allow_inf_nan=False)] = None
    """US dollars."""
    max_tokens: Annotated[int | None, "narrow", Field(ge=1)] = None
    """Input and output together."""
    max_input_tokens: Annotated[int | None, "narrow", Field(ge=1)] = None
    """Those that the model reads, cached ones included."""
    max_output_tokens: Annotated[int | None, "narrow", Field(ge=1)] = None
    """Those that the model writes."""
    context_window: Annotated[int | None, "narrow", Field(ge=8_000)] = None
    """Tokens of the model's window that are used; None means all that the catalog knows of."""
    timeout: Annotated[Seconds, "narrow"] = 45 * 60.0
    """Seconds of wall clock for the agent, repairs included."""
    allow: Annotated[tuple[str, ...], "narrow"] = ()
    """Globs of what may be changed; empty means everything but what is protected."""
    deny: Annotated[tuple[str, ...], "narrow"] = ()
    """Globs of what may not be changed; denials win."""
    within: Annotated[tuple[tuple[str, ...], ...], "user-only"] = ()
    """Wider allow lists; a path must match every one of them as well."""
    models: Annotated[tuple[str, ...], "user-only"] = ()
    """Models that a repository may choose; empty means any in the catalog."""
    fallback_model: Annotated[str | None, "narrow"] = None
    """Goes on when the model fails for good by overload, a rate limit or a server's error."""
    base_url: Annotated[str | None, "user-only"] = None
    """Another server of the Messages API."""
    key_variable: Annotated[str | None, "user-only"] = None
    """The environment variable that holds the key for `base_url`."""
    server: Annotated[ServerKind | None, "user-only"] = None
    """What kind of server it is; None means what its address says."""
    sandbox: Annotated[SandboxSetting, "narrow", BeforeValidator(as_table)] = SandboxSetting()
    readable: Annotated[tuple[AbsolutePath, ...], "user-only"] = ()
    """Further host paths that the sandbox may read."""
    land: Annotated[Landing, "user-only"] = "branch"
    """Where verified commits go."""
    target: Annotated[str | None, "user-only"] = None
    """The branch to land on; None means `agentflow/<TASK>`."""
    state_remote: Annotated[str | None, "user-only"] = None
    """Where workers of a cluster keep checkpoints, which hold files and conversations: the address of
    a repository that is private to them."""
    prices: Annotated[dict[str, Price], "user-only"] = {}  # noqa: RUF012  (pydantic copies it)
    """By the full name of the model."""
    rate_limits: Annotated[RatesSetting, "user-only"] = RatesSetting()
    environment: Annotated[EnvironmentSetting, "override"] = EnvironmentSetting()
    services: Annotated[dict[str, ServiceSetting], "override"] = {}  # noqa: RUF012  (pydantic copies it)
    hooks: Annotated[tuple[HookSetting, ...], "user-only"] = ()
    """Commands that are run outside the sandbox when something happens."""
    setup_network: Annotated[Literal["listed", "host"], "user-only"] = "listed"
    """`host` lets setup reach everything that this machine reaches."""
    allow_red_base: Annotated[bool, "user-only"] = False
    """Whether gates may fail on the base, and then on the result in the same way."""
    allow_foreign_head: Annotated[bool, "user-only"] = False
    """Whether a CI job that holds the repository's secrets may work for a foreign pull request."""
    variables: Annotated[dict[str, str | FileVariable | CommandVariable], "override"] = {}  # noqa: RUF012  (pydantic copies it)
    """Values of a prompt's placeholders, by the name without its sign."""
    commit: Annotated[CommitSetting, "user-only"] = CommitSetting()
    templates: Annotated[bool, "user-only"] = False
    """Whether a repository's prompt that ends in `.md.j2` is rendered as a template."""
    checklist: Annotated[ChecklistSetting, "override"] = ChecklistSetting()
    secrets: Annotated[SecretsSetting, "override"] = SecretsSetting()
    queue: Annotated[QueueSetting, "override"] = QueueSetting()
    documents: Annotated[DocumentsSetting, "override"] = DocumentsSetting()

    @property
    def limits(self) -> Limits:
        """The limits as the record that the run takes."""
        return Limits(
            self.max_turns,
            self.max_cost,
            self.max_tokens,
            self.timeout,
            self.max_repairs,
            self.max_input_tokens,
            self.max_output_tokens,
        )

    @property
    def boundaries(self) -> Boundaries:
        """The boundaries as the record that the run takes."""
        return Boundaries(self.allow, self.deny, self.within)

    @property
    def commands(self) -> tuple[BuildCommand, ...]:
        """The gates as the records that the run takes."""
        return tuple(BuildCommand(**dict(gate)) for gate in self.gates)

    @property
    def hook_commands(self) -> tuple[Hook, ...]:
        """The hooks as the records that the run takes."""
        return tuple(Hook(**dict(hook)) for hook in self.hooks)

    def surroundings(self, environment: Mapping[str, str]) -> Environment:
        """What stands around agent and gates, secrets taken from the user's environment.

        Raises `UsageError` for a variable that is not set there.
        """
        table = self.environment

        def variables(literal: Mapping[str, str], names: tuple[str, ...]) -> Variables:
            missing = [name for name in names if name not in environment]
            if missing:
                raise UsageError(
                    f"the variable {missing[0]}, which env_from passes on, is not set",
                    hint=f"export {missing[0]}=…",
                )
            return Variables(
                {**table.variables, **literal}, {name: environment[name] for name in names}
            )

        return Environment(
            setup=Setup(
                command=table.setup,
                key=table.key,
                provides=table.provides,
                scratch=table.scratch,
                network=table.network,
                host_network=self.setup_network == "host",
                timeout=table.timeout,
                variables=variables({}, table.env_from),
                files=table.files,
            )
            if table.setup
            else None,
            services=tuple(
                Service(name, each.command, each.ready, each.env, each.timeout)
                for name, each in self.services.items()
            ),
            agent=variables(table.agent.variables, table.agent.env_from),
            agent_network=table.agent.network,
            gates=variables(table.gates.variables, table.gates.env_from),
        )


RULES: dict[str, Rule] = {
    name: next(item for item in field.metadata if item in get_args(Rule))
    for name, field in Settings.model_fields.items()
}
"""The rule of every field."""
