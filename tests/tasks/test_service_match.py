"""Names of services, matched to folders."""

import pytest

from agentflow.records import Boundaries
from agentflow.tasks.service_match import (
    boundaries,
    contract_packages,
    make_workspace,
    match,
)

WORKSPACE = make_workspace(
    "platform",
    [
        "README.md",
        "apps/api/src/main.ts",
        "apps/web/package.json",
        "services/billing/main.py",
        "packages/types/index.ts",
        "acme-mail-service/package.json",
        "acme-chat-service/package.json",
        "node_modules/left-pad/package.json",
        "apps/web/node_modules/x/package.json",
        "tools/report/run.py",
        "other/billing-old/go.mod",
        "apps/{a,b}/x.ts",
    ],
    submodules=["acme-ai-service", "acme-types"],
    packages={"@acme/types": "packages/types", "gateway": "apps/api", "bad": "apps/{a,b}"},
)


@pytest.mark.parametrize(
    ("name", "folders"),
    [
        ("apps/api", ("apps/api",)),
        ("./services/billing/", ("services/billing",)),
        ("API", ("apps/api",)),
        ("billing", ("services/billing",)),
        ("the billing service", ("services/billing",)),
        ("gateway", ("apps/api",)),
        ("@acme/types", ("packages/types",)),
        ("acme-ai-service", ("acme-ai-service",)),
        ("mail", ("acme-mail-service",)),
        ("chat_service", ("acme-chat-service",)),
        ("acme-m*-service/", ("acme-mail-service",)),
        ("acme-*-service", ("acme-ai-service", "acme-chat-service", "acme-mail-service")),
        ("apps/*", ("apps/api", "apps/web")),
        ("platform", ("",)),
        ("report", ("tools/report",)),
        ("left-pad", ()),
        ("bad", ()),
        ("service", ()),
        ("../apps/api", ()),
        ("payments", ()),
        ("", ()),
        ("*" * 100_000, ()),
    ],
)
def test_each_way_of_naming_a_service(name: str, folders: tuple[str, ...]) -> None:
    found = match(name, WORKSPACE)

    assert found.folders == folders
    assert found.folder == (folders[0] if len(folders) == 1 else None)


@pytest.mark.parametrize(
    "name", [".github", ".github/actions/deploy", "deploy", ".cl*", "@acme/ci"]
)
def test_what_others_execute_or_obey_is_no_service(name: str) -> None:
    workspace = make_workspace(
        "x",
        [".github/actions/deploy/package.json", ".claude/agents/a.md", "apps/.husky/deploy/x"],
        submodules=[".claude"],
        packages={"@acme/ci": ".github/actions/deploy"},
    )

    assert match(name, workspace).folders == ()
    assert contract_packages("@acme/ci", workspace) == {}


def test_two_folders_of_one_name_are_ambiguous() -> None:
    workspace = make_workspace("x", ["apps/api/a", "services/api/b"])

    assert match("api", workspace).folders == ("apps/api", "services/api")
    assert match("apps/api", workspace).folder == "apps/api"


def test_shared_packages_are_those_of_the_workspace() -> None:
    text = (
        "Use @acme/types, `@acme-types` and @nestjs/common; @Body() is none, nor is a@acme-types.io"
    )

    assert contract_packages(text, WORKSPACE) == {
        "@acme/types": "packages/types",
        "@acme-types": "acme-types",
    }


def test_folders_become_boundaries_and_the_root_sets_none() -> None:
    assert boundaries(["apps/api", "packages/types", "apps/api"]) == Boundaries((
        "apps/api/**",
        "packages/types/**",
    ))
    assert boundaries(["apps/api", ""]) == Boundaries()
