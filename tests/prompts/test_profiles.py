"""Profiles by name: who may say which."""

from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.prompts.detection import DOCUMENTS, SIGNS
from agentflow.prompts.loader import load_prompt
from agentflow.prompts.profiles import NAMES, Wish, choose_profile, wish
from agentflow.records import Profile, Prompt
from agentflow.tools import DEFAULT_TOOLS
from tests.run.project import Project, make_project

FOLDER = ".orchestrator/prompts"
OWN = """---
agentflow:
  commits: agent
  documents: [docs/x.md]
  variables: [$TEAM]
---
x
"""


def prompt(root: Path, text: str, name: str = "p") -> Prompt:
    file = root / FOLDER / f"{name}.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    return load_prompt(file, DEFAULT_TOOLS)


def chosen(root: Path, text: str, name: str, *, overrides: bool = True) -> Prompt:
    return choose_profile(prompt(root, text), Wish(name, "me", overrides), root, DEFAULT_TOOLS)


def test_every_profile_of_the_table_has_its_name() -> None:
    assert NAMES == ("default", "json", "marker", "batch", "report", "handoff")


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("default", Profile()),
        ("json", Profile(completion="json")),
        ("marker", Profile(completion="marker")),
        ("batch", Profile(commits="agent", completion="commit")),
        ("report", Profile(completion="report")),
        ("handoff", Profile()),
    ],
)
def test_a_name_gives_its_profile_whatever_the_signs_say(
    tmp_path: Path, name: str, profile: Profile
) -> None:
    for text in ("x", "echo > .orchestrator/complete/x.done", OWN.replace("x.md", "y.md")):
        found = chosen(tmp_path, text, name)
        assert (found.profile_name, found.profile_sign) == (name, "me")
        assert (found.profile.commits, found.profile.completion, found.profile.output_schema) == (
            profile.commits,
            profile.completion,
            None,
        )


def test_the_schema_and_documents_are_those_that_the_text_shows(tmp_path: Path) -> None:
    text = f'{{"implementation": {{}}, "files": [], "verification": {{}}}} /{DOCUMENTS[0]}'
    assert chosen(tmp_path, text, "json").profile.output_schema == SIGNS[0].profile.output_schema
    assert chosen(tmp_path, text, "json").profile.documents == ()
    assert chosen(tmp_path, text, "report").profile.documents == (DOCUMENTS[0],)


def test_placeholders_are_filled_as_before(tmp_path: Path) -> None:
    found = chosen(tmp_path, OWN, "json").profile
    assert (found.variables, found.documents) == (("$TEAM",), ("docs/x.md",))
    found = chosen(tmp_path, "$CURRENT_PHASE", "json").profile
    assert found.variables == ("$CURRENT_PHASE",)


def test_the_configuration_counts_less_than_the_prompts_own_block(tmp_path: Path) -> None:
    assert chosen(tmp_path, OWN, "json", overrides=False).profile.commits == "agent"
    assert chosen(tmp_path, OWN, "json").profile.commits == "orchestrator"
    assert chosen(tmp_path, "x", "batch", overrides=False).profile.commits == "agent"


def test_another_prompts_profile_is_taken_by_name_or_path(tmp_path: Path) -> None:
    prompt(tmp_path, OWN, "other")
    for name in ("other", f"{FOLDER}/other.md"):
        found = chosen(tmp_path, "$CURRENT_PHASE", name)
        assert (found.profile_name, found.profile.commits) == ("other", "agent")
        assert found.profile.variables == ("$TEAM", "$CURRENT_PHASE")


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    prompt(tmp_path, OWN, "other")
    with pytest.raises(UsageError, match="no profile 'bacth'; did you mean 'batch'") as caught:
        chosen(tmp_path, "x", "bacth")
    assert "default, json, marker, batch, report, handoff" in caught.value.hint
    with pytest.raises(UsageError, match="no profile 'othre'; did you mean 'other'"):
        chosen(tmp_path, "x", "othre")
    with pytest.raises(UsageError, match=r"no prompt file no/such\.md"):
        chosen(tmp_path, "x", "no/such.md")
    (tmp_path / "outside.md").write_text("x")
    with pytest.raises(UsageError, match="outside of the repository"):
        chosen(tmp_path / "root", "x", "../outside.md")


def test_the_flag_comes_before_the_task_and_the_task_before_the_configuration() -> None:
    assert wish("a", "b", "c") == Wish("a", "`--profile`", trusted=True)
    assert wish(None, "b", "c") == Wish("b", "the task's `profile:`")
    assert wish(None, None, "c") == Wish("c", "`profile` in the configuration", overrides=False)
    assert wish(None, None, None) is None


async def completion(project: Project, **flags: str) -> tuple[str, str]:
    order = Order(
        "TASK-1", flags={"prompt": "p", "gates": [{"name": "t", "command": "true"}], **flags}
    )
    plan = await make_plan(order, project.world)
    return plan.prompt.profile.completion, plan.prompt.profile_sign


async def test_a_plan_takes_the_highest_wish(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.write(f"{FOLDER}/p.md", "x\n")
    project.commit()
    assert await completion(project) == ("message", "no sign of another")
    project.write(".orchestrator/config.toml", "profile = 'json'\n")
    project.commit()
    assert await completion(project) == ("json", "`profile` in the configuration")
    project.task("profile: report")
    assert await completion(project) == ("report", "the task's `profile:`")
    assert await completion(project, profile="marker") == ("marker", "`--profile`")
