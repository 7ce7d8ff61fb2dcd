"""What a prompt's header asks for, in a run: skills, effort, a first prompt, plan mode."""

from pathlib import Path

import pytest

from agentflow.dry_run import describe, describe_json
from agentflow.errors import UsageError
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.records import Json
from tests.run.project import GATE, HELLO, Project, bash, call, turn

PROMPT = ".orchestrator/prompts/plain.md"
SKILL = "---\nname: Ours\ndescription: How we greet.\n---\nSay hello.\n"

pytestmark = pytest.mark.sandbox


def write_prompt(project: Project, header: str) -> None:
    project.write(PROMPT, f"---\nname: plain\n{header}\n---\nDo what the task says.\n")
    project.write(".claude/skills/ours/SKILL.md", SKILL)
    project.commit()


def write_own(project: Project) -> Path:
    """A skill of the user's own, beside a secret."""
    home = Path(project.world.environment["HOME"])
    folder = home / ".claude/skills/mine"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text("Mine: run scripts/greet.\n")
    (folder / ".env").write_text("KEY=1\n")
    (home / "id_rsa").write_text("secret\n")
    (folder / "link").symlink_to(home / "id_rsa")
    return folder


async def plan_of(project: Project, **flags: str) -> Plan:
    given = {"gates": [GATE], "prompt": "plain", "base_url": "http://127.0.0.1:1", **flags}
    return await make_plan(Order("TASK-1", flags=given), project.world)


def answers(request: Json) -> list[str]:
    """What the tools answered before a request."""
    return [block["content"] for block in request["messages"][-1]["content"]]


async def test_an_agent_reads_its_skills_and_nothing_beside_them(project: Project) -> None:
    write_prompt(project, "skills: [ours, mine, none-such]")
    own = write_own(project)
    inside = "/run/agentflow/skills/2-mine"
    look = bash(f"ls -A {inside}; touch {inside}/x; ls {own} 2>&1; ls /run/agentflow/skills")

    report = await project.run([
        turn(
            call("Read", file_path=".claude/skills/ours/SKILL.md"),
            call("Read", file_path=f"{inside}/SKILL.md"),
            look,
        ),
        turn(HELLO),
        turn(),
    ])

    assert report["outcome"] == "done"
    ours, mine, listed = answers(project.requests[1])
    assert "Say hello." in ours
    assert "Mine: run" in mine
    first, *rest = listed.splitlines()
    assert first == "SKILL.md"
    assert "Read-only file system" in rest[0]
    assert "No such file" in rest[1]
    assert rest[2] == "2-mine"
    system = project.requests[0]["system"][0]["text"]
    assert "- Ours (`.claude/skills/ours/SKILL.md`): How we greet.\n" in system
    assert f"- mine (`{inside}/SKILL.md`)\n" in system
    assert system.startswith("Do what the task says.\n\n# Skills\n")

    assert [(each["name"], each["path"]) for each in report["skills"]] == [
        ("Ours", ".claude/skills/ours/SKILL.md"),
        ("mine", f"{inside}/SKILL.md"),
    ]
    assert all(len(each["sha256"]) == 64 for each in report["skills"])
    (started,) = [e for e in project.journal(report["run"]) if e["type"].endswith("run_started")]
    assert started["skills"] == report["skills"]
    told = [each for each in report["notices"] if "skill" in each]
    assert told[0].startswith(
        "plain: no skill is called none-such (looked in .orchestrator/skills,"
    )
    assert told[1] == "1 file of the skill mine not shown: secret, or too much"
    assert len(told) == 2


async def test_without_a_sandbox_the_users_own_skills_are_read_where_they_are(
    project: Project,
) -> None:
    write_prompt(project, "skills: mine")
    own = write_own(project)
    report = await project.run(
        [turn(call("Read", file_path=str(own / "SKILL.md"))), turn(HELLO), turn()], sandbox="none"
    )
    assert report["outcome"] == "done"
    assert "Mine: run" in answers(project.requests[1])[0]
    assert report["skills"][0]["path"] == str(own / "SKILL.md")


async def test_uncommitted_skills_are_missing(project: Project) -> None:
    write_prompt(project, "skills: ours, late")
    project.write(".claude/skills/late/SKILL.md", "x")
    plan = await plan_of(project)
    assert [each.name for each in plan.skills] == ["Ours"]
    assert any("no skill is called late" in each for each in plan.notices)


async def test_skills_without_a_tool_to_read_them_are_told(project: Project) -> None:
    write_prompt(project, "skills: ours\ntools: Grep")
    project.task("expect: no-change")
    told = "plain: it has neither Read nor Bash, so it cannot read its skills"
    assert told in (await plan_of(project)).notices


async def test_effort_is_asked_for_and_recorded(project: Project) -> None:
    write_prompt(project, "effort: max")
    report = await project.run([turn(HELLO), turn()])
    assert [request["output_config"] for request in project.requests] == [{"effort": "max"}] * 2
    assert report["effort"] == "max"


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "some-local-model"])
async def test_effort_is_not_asked_of_a_model_that_may_not_take_it(
    project: Project, model: str
) -> None:
    write_prompt(project, "effort: max")
    report = await project.run([turn(HELLO), turn()], model=model)
    assert not any("output_config" in request for request in project.requests)
    assert report["effort"] is None
    told = f"plain: {model} is not known to take the effort 'max': none is asked for"
    assert told in report["notices"]


async def test_a_first_prompt_is_data_before_the_first_message(project: Project) -> None:
    write_prompt(project, "initialPrompt: 'Look at {TASK_ID}: {{ task.id }} $TASK_DESCRIPTION'")
    first = (await plan_of(project)).rendered.first_message
    assert first.startswith(
        "Look at TASK-1: {{ task.id }} $TASK_DESCRIPTION\n\n---\n\n# Task TASK-1: Say hello\n"
    )


async def test_a_plan_shows_what_the_header_asks_for(project: Project) -> None:
    write_prompt(project, "permissionMode: plan\neffort: low\nskills: ours")
    project.task("expect: no-change")
    plan = await plan_of(project)
    facts = describe_json(plan)
    assert (facts["tools"], facts["effort"]) == (["Read", "Grep", "Glob"], "low")
    assert [each["name"] for each in facts["skills"]] == ["Ours"]
    lines = describe(plan).splitlines()
    assert "effort     low" in lines
    assert "skill      Ours (.claude/skills/ours/SKILL.md)" in lines


async def test_an_agent_that_plans_has_no_tool_to_change_anything(project: Project) -> None:
    write_prompt(project, "permissionMode: plan")
    with pytest.raises(UsageError, match=r"TASK-1 must change something.* \(Read, Grep, Glob\)$"):
        await plan_of(project)

    project.task("expect: no-change")
    turns = [turn(HELLO, bash("echo x > app/hello.txt")), turn()]
    report = await project.run(turns, gates=[{"name": "test", "command": "true"}])
    assert (report["outcome"], len(project.requests)) == ("done", 2)
    assert [tool["name"] for tool in project.requests[0]["tools"]] == ["Read", "Grep", "Glob"]
    assert report["commits"] == []
