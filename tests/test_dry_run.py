"""A plan in words, pinned. How to regenerate it is said in tests/prompts/test_render.py."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

from agentflow.dry_run import describe, describe_json
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.prompts.search import builtin_folder
from agentflow.records import BuildCommand
from agentflow.sandbox import Choice
from agentflow.world import World

GOLDEN = Path(__file__).parent / "prompts" / "golden"
TASK = """---
title: Add DELETE
allow: [notes/**, tests/, README.md]
deny: ["**/*.lock"]
gates: {test: 'true'}
max_turns: 30
---
# Add DELETE

Text \u202e.
"""


def repository(root: Path) -> World:
    (root / ".orchestrator/tasks").mkdir(parents=True)
    (root / ".orchestrator/tasks/TASK-7.md").write_text(TASK, "utf-8")
    (root / "notes").mkdir()
    (root / "notes/api.py").write_text("x = 1\n", "utf-8")
    environment = {"PATH": os.environ["PATH"], "HOME": str(root)}
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.com"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        subprocess.run([*git, *arguments], cwd=root, env=environment, check=True)
    for key, value in (("user.name", "T"), ("user.email", "t@example.com")):
        subprocess.run([*git, "config", key, value], cwd=root, env=environment, check=True)
    return World(directory=root, environment=environment)


async def plan(root: Path) -> Plan:
    return await make_plan(Order("TASK-7"), repository(root))


async def test_the_dry_run_reads_as_pinned(tmp_path: Path) -> None:
    found = await plan(tmp_path)
    found = replace(found, sandbox=Choice("bubblewrap"))
    text = describe(found).replace(found.base, "<base>")
    text = text.replace(str(builtin_folder()), "<prompts>").replace(str(tmp_path), "<root>")
    golden = GOLDEN / "dry_run.txt"
    if os.environ.get("UPDATE_GOLDENS") == "1":
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")
    assert "\u202e" not in text


async def test_a_gate_that_is_not_like_others_says_so(tmp_path: Path) -> None:
    gates = (
        BuildCommand("test", "npm test", paths=("src/**",), cwd="src"),
        BuildCommand("e2e", "make e2e", where="ci"),
        BuildCommand("new", "make new", must_fail_on_base=True, fix=True),
        BuildCommand("unit", "make unit", report="r.xml", tests=("a", "b")),
    )
    text = describe(replace(await plan(tmp_path), gates=gates))
    assert "  test         npm test  (in src; only for src/**)\n" in text
    assert "  e2e          make e2e  (left to CI)\n" in text
    assert "  new          make new  (must fail on the base; a formatter)\n" in text
    assert "  unit         make unit  (with its report r.xml; which must show a, b)\n" in text


async def test_a_prompt_of_another_tool_is_run_as_it_says(tmp_path: Path) -> None:
    world = repository(tmp_path)
    file = tmp_path / ".claude/agents/deep/w.md"
    file.parent.mkdir(parents=True)
    text = (
        "---\nname: worker\ndescription: a: b\ntools: Read, Bash(git:*)\nmaxTurns: 5\n---\nWork.\n"
    )
    file.write_text(text, "utf-8")
    found = await make_plan(Order("TASK-7", flags={"prompt": "worker"}), world)
    assert (found.prompt.path, found.prompt.tools) == (file, ("Read", "Bash"))
    assert (found.prompt.scopes, found.limits.max_turns) == (("git:*",), 5)
    assert describe_json(found)["scopes"] == ["git:*"]
    assert "tools      Read, Bash\n  Bash only  git:*\ncommits " in describe(found)
    assert any("w.md:3: the header is not valid YAML" in notice for notice in found.notices)
    file.write_text(text.replace("5", "50"), "utf-8")
    found = await make_plan(Order("TASK-7", flags={"prompt": "worker"}), world)
    assert found.limits.max_turns == 30


async def test_the_object_holds_the_exact_text(tmp_path: Path) -> None:
    found = await plan(tmp_path)
    facts = describe_json(found)
    assert facts["system_prompt"] == found.rendered.system
    assert facts["first_message"] == found.rendered.first_message
    assert {key: facts[key] for key in ("type", "task", "base", "gates", "limits")} == {
        "type": "plan",
        "task": "TASK-7",
        "base": found.base,
        "gates": [
            {
                "name": "test",
                "command": "true",
                "cwd": "",
                "where": "here",
                "must_fail_on_base": False,
                "fix": False,
                "report": "",
                "tests": [],
            }
        ],
        "limits": {
            "max_turns": 30,
            "max_cost": None,
            "max_tokens": None,
            "max_input_tokens": None,
            "max_output_tokens": None,
            "timeout": 2700.0,
            "max_repairs": 2,
        },
    }
    assert facts["boundaries"] == [
        {"glob": "notes/**", "enforced_by": "kernel-exact"},
        {"glob": "tests/", "enforced_by": "kernel-exact"},
        {"glob": "README.md", "enforced_by": "import-only"},
        {"glob": "!**/*.lock", "enforced_by": "import-only"},
    ]
