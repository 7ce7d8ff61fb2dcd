"""The world as a run sees it: clock, chance, environment, folders. Passed in, never reached for."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import platformdirs


def _now() -> datetime:
    return datetime.now(UTC)


def _cache() -> Path:
    return Path(platformdirs.user_cache_path("agentflow"))


@dataclass(frozen=True, slots=True)
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
