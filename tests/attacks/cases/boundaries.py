"""BD: the task's boundaries, in the kernel and at import."""

import json

import pytest

from agentflow.errors import UsageError
from tests.attacks.case import case, cases
from tests.attacks.place import ALLOW, Place

NOT_RUN: dict[str, str] = {}

BLOB = "b=$(echo evil | git hash-object -w --stdin)"
COMMIT = "git add -A; git commit -qm work"


@case("BD-01")
async def work_inside_is_possible(place: Place) -> None:
    result = await place.bash(
        "echo ok > apps/api/new && mkdir -p apps/api/a/b && mv apps/api/new apps/api/a/b/c && "
        "echo ok > packages/database/src/schema/new && ln apps/api/a/b/c apps/api/BD-01"
    )

    assert result["exit_code"] == 0, result["output"]


@cases({
    "BD-02": ("echo written > apps/web/f.py", "rm apps/web/f.py", "sed -i s/1/2/ apps/web/f.py"),
    "BD-03": ("echo written > n", "mkdir n", "ln -s apps n"),
    "BD-04": (
        "chmod 777 apps/web/f.py", "touch apps/web/f.py", "chown 1000 apps/web/f.py",
        "python3 -c \"import os; os.setxattr('apps/web/f.py', 'user.x', b'x')\"",
    ),
    "BD-06": ("echo written > apps/api/vendor/f.py", "touch apps/api/vendor/n"),
})  # fmt: skip
async def the_kernel_refuses(place: Place, commands: tuple[str, ...]) -> None:
    before = await place.output("stat -c '%n %a %Y %u' apps/web/f.py apps/api/vendor/f.py .")
    for command in commands:
        result = await place.bash(command)
        assert result["exit_code"], command
        assert place.refused in result["output"], result["output"]

    after = await place.output("stat -c '%n %a %Y %u' apps/web/f.py apps/api/vendor/f.py .")
    assert before == after


@cases({
    "BD-05": (f"echo x > src/new.txt; {COMMIT}", ["A src/new.txt: outside the allowed paths"]),
    "BD-07": (
        f"{BLOB}; for p in apps/web/f.py apps/api/vendor/f.py; do "
        "git update-index --add --cacheinfo 100644,$b,$p; done; git commit -qm evil",
        [
            "M apps/api/vendor/f.py: denied by apps/api/vendor/**",
            "M apps/web/f.py: outside the allowed paths",
        ],
    ),
    "BD-08": (
        f"{BLOB}; git update-index --add --cacheinfo 100644,$b,apps/web/f.py; git commit -qm evil; "
        "git update-index --cacheinfo 100644,$(git rev-parse HEAD~1:apps/web/f.py),apps/web/f.py; "
        "git commit -qm clean",
        ["M apps/web/f.py: outside the allowed paths"] * 2,
    ),
    "BD-09": (
        f"{BLOB}; for p in APPS/API/x 'apps/api./x' 'apps/api /x' $'apps/a\\u0440i/x' "
        "$'apps/api/\\u202egpj.py'; do git update-index --add --cacheinfo 100644,$b,\"$p\"; done; "
        "git commit -qm evil",
        [
            "A APPS/API/x: outside the allowed paths",
            "A apps/api /x: outside the allowed paths",
            "A apps/api./x: outside the allowed paths",
            "A 'apps/api/\\u202egpj.py': its name holds control, direction or undecodable characters",
            "A apps/a\u0440i/x: outside the allowed paths",
        ],
    ),
    "BD-11": (
        "cd apps/api; mkdir .vscode .husky; echo {} > .vscode/tasks.json; echo x > .husky/pre-commit; "
        "echo x > .envrc; echo '*.py filter=e' > .gitattributes; echo x > CLAUDE.md; "
        "git add -Af; git commit -qm evil",
        [
            "A apps/api/.envrc: protected (**/.envrc); an allow entry must name it",
            "A apps/api/.gitattributes: protected (**/.gitattributes); an allow entry must name it",
            "A apps/api/.husky/pre-commit: protected (**/.husky/**); an allow entry must name it",
            "A apps/api/.vscode/tasks.json: protected (**/.vscode/**); an allow entry must name it",
            "A apps/api/CLAUDE.md: protected (**/CLAUDE.md); an allow entry must name it",
        ],
    ),
    "BD-12": (
        f"ln -s ../web/f.py apps/api/link; ln -s /etc/passwd apps/api/out; {COMMIT}; "
        "git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),apps/api/sub; "
        "git commit -qm evil; mkdir apps/api/sub",
        [
            "A apps/api/link: is a link to apps/web/f.py: outside the allowed paths",
            "A apps/api/out: is a link that leaves the repository (/etc/passwd)",
            "A apps/api/sub: is a submodule or a nested repository",
        ],
    ),
})  # fmt: skip
async def the_import_refuses(place: Place, attack: tuple[str, list[str]]) -> None:
    command, expected = attack
    candidate = await place.imported(command)

    found = [violation.split("): ", 1)[-1] for violation in candidate.violations]
    assert [each for each in found if not each.startswith("uncommitted")] == expected
    assert (candidate.tip, candidate.commits) == (candidate.base, ())


@case("BD-10")
async def a_file_cannot_grant_more_than_the_repository(place: Place) -> None:
    async with place.another("task") as other:
        for glob in ("../x/**", "/etc/**", "apps/../../x", "~/x", ".git/hooks/**", "", "{a,../b}"):
            other.project.task(f"allow: {json.dumps([glob])}")
            with pytest.raises(UsageError, match="boundary"):
                await other.plan()

        other.project.task("allow: ['**']")
        other.user_settings(f"allow = {json.dumps(ALLOW)}")
        candidate = await other.imported("echo evil > tasks.md; echo x > .envrc; true")
        assert [v.partition(": ")[2] for v in candidate.violations] == [
            "A .envrc: protected (**/.envrc); an allow entry must name it",
            "M tasks.md: outside the allowed paths",
        ]
