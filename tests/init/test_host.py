"""What a program of this machine answers."""

import os
from pathlib import Path

from agentflow.init.host import ThisHost


def program(folder: Path, text: str) -> ThisHost:
    file = folder / "tool"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return ThisHost({"PATH": f"{folder}:{os.defpath}", "NPM_CONFIG_A": "set", "B": "kept"})


def test_it_is_asked_at_the_root_with_the_environment_that_is_wanted(tmp_path: Path) -> None:
    host = program(tmp_path, 'echo "$PWD $1 [$NPM_CONFIG_A] [$npm_config_c] [$B]"; echo >&2 talk')
    assert host.has("tool")
    assert not host.has("tool-that-is-not-there")
    assert host.ask("tool", "x") == "/ x [set] [] [kept]"
    changed = {"npm_config_a": "", "npm_config_c": "new"}
    assert host.ask("tool", "x", changed=changed) == "/ x [] [new] [kept]"


def test_no_answer_is_an_empty_one(tmp_path: Path) -> None:
    assert program(tmp_path, "echo no; exit 3").ask("tool") == ""
    assert program(tmp_path, "printf '\\377'").ask("tool") == "\ufffd"
    assert ThisHost({"PATH": str(tmp_path / "none")}).ask("tool") == ""
