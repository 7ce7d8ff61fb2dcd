"""The projects of an nx workspace, and which of them a change concerns."""

import json
from dataclasses import replace

from agentflow.environment import Environment, Setup
from agentflow.gates.nx import (
    Affected,
    ProjectsGate,
    affected,
    builds,
    owner,
    planned_builds,
    read_projects,
)
from tests.workspace.place import Work

BASE = """
mkdir -p apps/api/src apps/api/plugin libs/mail/src libs/odd libs/bad
echo '{}' > nx.json; echo '{"name": "acme"}' > package.json
echo '{"name": "api"}' > apps/api/project.json; echo '{"name": "@acme/mail"}' > libs/mail/package.json
echo '{}' > libs/odd/project.json; echo '{"name": "-x; rm"}' > libs/bad/project.json
echo a > apps/api/src/a.ts; echo a > apps/api/plugin/a.ts; echo a > libs/mail/src/a.ts
echo a > tool.ts
git add -A; git commit -qm base
"""


def test_the_longest_root_owns_a_file() -> None:
    projects = ["apps/api", "apps/api/plugin", "apps"]
    assert owner("apps/api/plugin/x/y.ts", projects) == "apps/api/plugin"
    assert owner("apps/api/plugins.ts", projects) == "apps/api"
    assert owner("apps/x.ts", projects) == "apps"
    assert owner("tool.ts", projects) is None
    assert owner("tool.ts", [*projects, ""]) == ""


async def test_what_a_change_concerns(work: Work) -> None:
    work.agent(BASE)
    base = work.collect(commits="agent").tip
    paths = [*work.state.text("ls-tree", "-r", "--name-only", base).splitlines()]
    projects = {"apps/api": "api", "libs/mail": "@acme/mail", "libs/odd": "odd"}
    assert read_projects(work.state, base, paths) == projects

    def change(script: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        work.agent(f"git reset -q --hard HEAD; {script}; git add -A; git commit -qm x")
        found = affected(work.state, replace(work.collect(commits="agent"), base=base))
        work.agent("git reset -q --hard HEAD~1")
        return found.names, found.unknown

    assert change("echo b > apps/api/src/a.ts; echo b > libs/mail/new.ts") == (
        ("@acme/mail", "api"),
        (),
    )
    assert change("echo b > tool.ts; echo b > README.md") == ((), ("tool.ts",))
    assert change("echo b > libs/bad/a.ts") == ((), ("libs/bad/a.ts",))
    # a project that the change makes inside of another one takes no file out of its build
    inner = (
        """echo '{"name": "easy"}' > apps/api/plugin/project.json; echo b > apps/api/plugin/a.ts"""
    )
    assert change(inner) == (("api", "easy"), ())
    assert change("git rm -rq libs/odd") == ((), ("libs/odd/project.json",))

    evidence = await ProjectsGate(Affected((), ("tool.ts",))).measure(work.collect())
    assert evidence.status == "failed"
    assert evidence.summary == "1 changed file in no nx project: tool.ts"

    planned = planned_builds(work.state, base, paths, ["libs/mail/x.ts", "new/x.ts"], Environment())
    assert [(each.name, each.command) for each in planned] == [
        ("nx-@acme/mail", "nx build @acme/mail"),
        (
            "nx-dependents",
            "nx affected --target=build --files=libs/mail/x.ts --exclude=@acme/mail",
        ),
    ]


def test_nx_is_the_repositorys_own_where_it_has_one() -> None:
    setup = Environment(setup=Setup("npm ci", provides=("**/node_modules",)))
    for paths, environment in ((["node_modules/.bin/nx"], Environment()), ([], setup)):
        (found,) = builds(["a"], paths, environment)
        assert found.command == "node_modules/.bin/nx build a"
    assert json.dumps(builds([], [], setup)) == "[]"
