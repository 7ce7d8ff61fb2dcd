"""Templates of a repository: rendered only where the user allows it, and bounded in everything."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.environment import Environment, Service, Setup, Variables
from agentflow.errors import UsageError
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.prompts.first_message import Briefing
from agentflow.prompts.render import render
from agentflow.prompts.templates import MAX_OUTPUT, render_template
from agentflow.records import Boundaries, Profile, Prompt, Task
from tests.patience import patiently
from tests.run.project import GATE, make_project

TASK = Task("TASK-7", "Say {{ 6 * 7 }}", "Text $CURRENT_PHASE {TASK_ID} {{ 6 * 7 }}\n")


def prompt(body: str) -> Prompt:
    return Prompt("own", Path("own.md.j2"), body, ("Read",), None, Profile(("$CURRENT_PHASE",)), "")


def rendered(body: str) -> str:
    return render_template(prompt(body), {"names": ["a", "b"], "text": "{{ 6 * 7 }}"})


def test_a_template_is_rendered_with_plain_values() -> None:
    assert (
        rendered("{% for n in names %}{{ n }}{% endfor %} {{ names | listed }}\n")
        == "ab `a`, `b`\n"
    )
    assert rendered("{{ text }}") == "{{ 6 * 7 }}"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{% for x in range(10**9) %}{% endfor %}", "Range too big"),
        ("{{ 'a' * 10**10 }}", "too much memory"),
        ("{{ '%1000000000000d' | format(1) }}", ""),
        ("{% for x in range(99999) %}{% for y in range(99999) %}{% endfor %}{% endfor %}", " it "),
        ("{{ 10 ** (10 ** 10) }}", " it "),
        ("{% for x in range(9999) %}{{ 'a' * 1000 }}{% endfor %}", f"more than {MAX_OUTPUT}"),
        ("{{ nobody }}", "'nobody' is undefined"),
        ("\n\n{{ }}", "line 3: "),
        ("{% include '/etc/passwd' %}", "no loader"),
        (r"{{ '\ud800' }}", "no text"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ names.append('x') }}", "unsafe"),
        ("{{ cycler.__init__.__globals__ }}", "unsafe"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", ""),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", ""),
    ],
)  # fmt: skip
def test_a_hostile_template_fails_in_one_sentence(body: str, why: str) -> None:
    with patiently(), pytest.raises(UsageError) as caught:
        rendered(body)
    assert caught.value.message.startswith("own.md.j2: the template cannot be rendered: ")
    assert why in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2


def test_what_a_template_inserts_is_no_template_and_no_placeholder() -> None:
    body = "{TASK_ID} $CURRENT_PHASE {{ task.text }}{{ task.title }} {{ '$CURRENT_' }}PHASE"
    found = render(
        prompt(body), Briefing(TASK, Boundaries(), ()), {"CURRENT_PHASE": "{{ 1 }} {TASK_ID}"}
    )
    assert found.system == (
        f"TASK-7 {{{{ 1 }}}} {{TASK_ID}} {TASK.text}{TASK.title} $CURRENT_PHASE"
    )


def test_a_template_knows_no_secret() -> None:
    secret = Variables({"A": "s3cret"}, {"B": "s3cret"})
    around = Environment(
        Setup("make", ("a",), ("b/",), variables=secret, files=("s3cret",)),
        (Service("db", "run s3cret", "ready", {"URL": "s3cret"}),),
        agent=secret,
        gates=secret,
    )
    names = "task text boundaries gates promises setup services commits completion schema checklist"
    body = " ".join(f"{{{{ {name} }}}}" for name in f"{names} workspace".split())
    task = replace(TASK, path=Path("/home/s3cret"))
    found = render(prompt(body), Briefing(task, Boundaries(("a/**",)), (), around=around)).system
    assert "s3cret" not in found
    assert "'command': 'make'" in found
    assert "['URL']" in found


def plan(folder: Path, config: str, repository: str = "") -> Plan:
    project = make_project(folder)
    header = "---\nname: fancy\ntools: [Read, Edit]\n---\n"
    project.write(
        ".claude/agents/fancy.agent.md.j2",
        f"{header}{{% if task.id == 'TASK-1' %}}Do {{{{ task.title }}}}.{{% endif %}}\n",
    )
    project.write(".orchestrator/config.toml", repository)
    project.commit()
    own = folder / "config/agentflow/config.toml"
    own.parent.mkdir(parents=True)
    own.write_text(config)
    order = Order("TASK-1", flags={"gates": [GATE], "prompt": "fancy"})
    return asyncio.run(make_plan(order, project.world))


def test_only_the_user_allows_templates(tmp_path: Path) -> None:
    assert plan(tmp_path / "1", "templates = true").rendered.system == "Do Say hello.\n"
    with pytest.raises(UsageError, match="is a template") as caught:
        plan(tmp_path / "2", "")
    assert "`templates = true`" in caught.value.hint
    with pytest.raises(UsageError, match="templates may not be set by a repository"):
        plan(tmp_path / "3", "", "templates = true")
