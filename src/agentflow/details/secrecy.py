"""What no page may show."""

from collections.abc import Mapping

from agentflow.models.endpoint import keys
from agentflow.settings import settings_at
from agentflow.workspace.repository import Repository


def secrets_of(repository: Repository, environment: Mapping[str, str]) -> set[str]:
    """What a run could have been given and no page may show: by the settings and the environment
    of now.

    Raises `UsageError` for settings that cannot be read.
    """
    settings = settings_at(repository, repository.head, environment)
    table = settings.environment
    names = (*table.env_from, *table.agent.env_from, *table.gates.env_from)
    return {environment[name] for name in names if name in environment} | keys(
        environment, settings.key_variable
    )
