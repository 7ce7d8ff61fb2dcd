"""What tests need of a machine: without it CI fails, and other machines skip with the reason."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

_POSTGRESQL = tuple(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
"""Where Debian keeps the server's programs."""


def programs_path() -> str:
    """Where programs are looked for."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *_POSTGRESQL))


def need(*programs: str) -> None:
    """Go on only if all programs are there."""
    missing = [each for each in programs if shutil.which(each, path=programs_path()) is None]
    if missing:
        miss(f"not installed: {', '.join(missing)}")


def need_root() -> None:
    """Go on only as root, who may become another user and give files away."""
    if os.geteuid() != 0:
        miss("only root can do that")


def miss(reason: str) -> NoReturn:
    """Fail in CI; skip on other machines."""
    if os.environ.get("AGENTFLOW_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
