"""The world as a run sees it: clock, chance, environment, folders. Passed in, never reached for."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record


def _now() -> datetime:
    return datetime.now(UTC)


def _cache() -> Path:
    try:
        return Path(platformdirs.user_cache_path("agentflow"))
    except RuntimeError as error:  # no HOME, and no entry in the user database
        raise EnvironmentFailure(
            "there is no home folder for work clones", hint="Set HOME or XDG_CACHE_HOME."
        ) from error


@record
class World:
    """What a run may ask about where it is."""

    directory: Path = field(default_factory=Path.cwd)
    """Where the command was given."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cache: Path = field(default_factory=_cache)
    """For work clones; anything in it may be deleted while no run is at work."""
    now: Callable[[], datetime] = _now
    """Wall clock, in UTC."""
    clock: Callable[[], float] = time.monotonic
    """Seconds that never go back."""
    entropy: Callable[[int], bytes] = os.urandom
