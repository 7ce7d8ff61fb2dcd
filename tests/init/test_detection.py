"""Several projects in one repository, hooks, services, and files that mean harm."""

import json
import subprocess
import tomllib
from pathlib import Path

from agentflow.init.detection import projects, propose
from agentflow.init.files import MAX_MANIFEST, files_of
from agentflow.init.rendering import render
from tests.init.conftest import Machine, Propose, make_repository


def test_projects_in_folders(proposed: Propose) -> None:
    found = proposed({
        "web/package.json": {"scripts": {"test": "vitest run"}, "devDependencies": {"vitest": "3"}},
        "web/package-lock.json": "{}",
        "my api/requirements.txt": "pytest\n",
        "my api/tests/test_a.py": "import pytest\n",
        "examples/a/package.json": {"scripts": {"test": "x"}},
        "web/node_modules/b/package.json": {"scripts": {"test": "x"}},
        ".hidden/go.mod": "module a\n",
    })
    gates = {gate.name: gate for gate in found.settings.gates}
    assert list(gates) == ["web-test", "my-api-test"]
    assert (gates["web-test"].cwd, gates["web-test"].paths) == ("web", ("web/**",))
    assert found.settings.environment.setup == (
        "(cd web && npm ci --no-audit --no-fund) && "
        "(cd 'my api' && python3 -m venv .venv && .venv/bin/pip install -r requirements.txt)"
    )
    assert found.settings.environment.provides == ("web/node_modules", "my api/.venv")


def test_names_are_distinct(proposed: Propose) -> None:
    found = proposed({
        "package.json": {"scripts": {"test": "x"}},
        "go.mod": "module a\n",
        "setup.py": "pytest",
        "tests/test_a.py": "import pytest\n",
    })
    names = [gate.name for gate in found.settings.gates]
    assert names == ["format", "vet", "test", "python-test", "go-test"]


def test_a_folder_is_a_project_of_its_own_only_with_a_lock_file(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path / "r",
        {"package.json": "{}", "a/package.json": "{}", "b/package.json": "{}", "b/yarn.lock": ""},
    )
    files = files_of(repository, repository.resolve("HEAD"))
    assert projects(files, "node") == ("", "b")


def test_hooks_become_gates_or_a_word_on_why_not(proposed: Propose) -> None:
    found = proposed({
        "package.json": {"scripts": {"test": "x", "check:deps": "depcheck", "slow": "x --watch"}},
        ".husky/pre-commit": "#!/bin/sh\n. husky.sh\nnpx lint-staged\nnpm test\nnpm run check:deps\n",
        ".husky/commit-msg": 'npx --no -- commitlint --edit "$1"\n',
        "lefthook.yml": "pre-push:\n  commands:\n    slow:\n      run: npm run slow\n"
        "    scan:\n      run: ./scan.sh\n    fix:\n      run: prettier {staged_files}\n",
    })
    assert found.commands == {"test": "npm test", "hook-check-deps": "npm run check:deps"}
    assert "runs `npx lint-staged` on staged files" in found.notes
    assert "commitlint is no gate" in found.notes
    assert "runs `prettier {staged_files}` on staged files" in found.notes
    for command in ("npm run slow", "./scan.sh"):
        assert f'# command = "{command}"' in found.text


def test_pre_commit_hooks(proposed: Propose) -> None:
    found = proposed({
        ".pre-commit-config.yaml": """---
repos:
  - repo: https://git.example.com/ruff-pre-commit
    rev: v1
    hooks:
      - id: ruff
      - id: ruff-format
  - repo: https://git.example.com/pre-commit-hooks
    rev: v1
    hooks:
      - id: trailing-whitespace
  - repo: local
    hooks:
      - id: licenses
        language: system
        entry: scripts/licenses --check
        pass_filenames: false
      - id: names
        language: system
        entry: scripts/names
""",
        "requirements.txt": "ruff\n",
    })
    assert list(found.commands) == ["format", "lint", "licenses"]
    assert found.commands["licenses"] == "scripts/licenses --check"
    assert "without a gate are names, trailing-whitespace" in found.notes


def test_commitlint_is_named_without_a_hook_too(proposed: Propose) -> None:
    assert "commitlint is no gate" in proposed({"commitlint.config.mjs": ""}).notes


def test_services_are_proposed_as_programs_of_this_machine(proposed: Propose) -> None:
    found = proposed({
        "docker-compose.yml": """
services:
  db:
    image: registry.example.com/library/postgres:16-alpine
    environment:
      POSTGRES_USER: shop
      POSTGRES_DB: "shop; rm -rf /"
  cache: {image: "redis:7"}
  queue: {image: "rabbitmq:4"}
""",
    })
    assert found.settings.services == {}
    services = found.everything.services
    assert list(services) == ["postgres", "redis"]
    assert services["postgres"].env == {"DATABASE_URL": "postgresql://shop@127.0.0.1:5432/shop"}
    assert "rm -rf" not in found.text
    assert "rabbitmq:4: if the tests need it" in found.notes


def test_a_compose_file_with_aliases_still_names_its_images(proposed: Propose) -> None:
    found = proposed({"compose.yaml": "x: &a {b: c}\nservices:\n  db:\n    image: postgis/postgis:16\n"
                      "    labels: *a\n"})  # fmt: skip
    assert [service.name for service in found.proposal.services] == ["postgres"]


def test_nothing_is_found(proposed: Propose) -> None:
    found = proposed({"README.md": "# Nothing\n"})
    assert found.settings.gates == ()
    assert found.settings.max_cost == 5.0
    assert '# command = "<a command' in found.text


EVIL = '\x1b]0;owned\x07"""\n[[gates]]\nname = "x"\n\u202e\x7f\u2028'


def test_hostile_texts_stay_texts(proposed: Propose) -> None:
    scripts: dict[str, object] = {"test": EVIL, EVIL: "x", "lint": 3, "typecheck": ["x"]}
    found = proposed({
        "package.json": {
            "scripts": scripts, "packageManager": EVIL, "dependencies": {EVIL: EVIL},
            "workspaces": EVIL, "husky": {"hooks": {EVIL: EVIL, "pre-commit": "npm run 'x'"}},
        },
        "package-lock.json": json.dumps({"a": {"resolved": "https://[::1/" + EVIL}}),
        ".npmrc": "registry=https://a.example.com\"]/\nregistry=https://\x1b[0m.example/\n",
        ".pre-commit-config.yaml": json.dumps({"repos": [
            {"repo": "local", "hooks": [
                {"id": EVIL, "entry": EVIL, "language": "system", "pass_filenames": "false"}, 1,
            ]}, "x",
        ]}),
        "pyproject.toml": f"[project]\nname = {json.dumps('x')}\ndependencies = [3, {{a = 1}}]\n"
        "[project.optional-dependencies]\ndev = 'x'\n[tool]\npoetry = 3\n",
        "compose.yml": json.dumps({"services": {"a": {"image": f"postgres:{EVIL}"}, "b": 1}}),
    })  # fmt: skip
    assert not {"\x1b", "\x07", "\x7f", "\u202e", "\u2028"} & set(found.text)
    assert {gate.name for gate in found.settings.gates if gate.name == "x"} == set()
    entry = next(gate for gate in found.settings.gates if "owned" in gate.command)
    assert entry.command == EVIL.strip()
    assert found.settings.environment.network == ("a.example.com",)


def test_hostile_files_are_named_and_not_used(proposed: Propose) -> None:
    found = proposed({
        "package.json": '{"scripts": {"test": ',
        "pyproject.toml": "[" * 5000,
        "Cargo.toml": "x" * (MAX_MANIFEST + 1),
        "Makefile": " " * 500_000 + "\n" * 500_000,
        "requirements.txt": "\n" * 900_000,
        "yarn.lock": "\n \t" * 2_000_000,
        "tests/test_a.py": "\n" * 1_000_000,
    })
    assert "package.json cannot be parsed" in found.notes
    assert f"Cargo.toml is larger than {MAX_MANIFEST} bytes" in found.notes
    assert "pyproject.toml " in found.notes


def test_a_huge_manifest_is_never_read(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path / "r",
        dict.fromkeys(("package.json", "Makefile", "requirements.txt"), " " * 10_000_000),
    )
    read: list[str] = []
    files = files_of(repository, repository.resolve("HEAD"))

    def content(path: str) -> bytes:
        read.append(path)
        return b""

    found = propose(type(files)(files.sizes, content), Machine())
    assert (read, found.gates) == ([], ())
    assert "package.json is larger than" in "".join(found.notes)


def test_links_and_odd_names_are_no_files(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    repository = make_repository(folder, {
        "a/\x1b[2J/package.json": "{}", "b*{c}/package.json": "{}", "\udcff/go.mod": "",
        "x'$(touch y)/go.mod": "module a\nrequire b v1\n",
    })  # fmt: skip
    (folder / "package.json").symlink_to("/etc/passwd")
    subprocess.run(["git", "add", "package.json"], cwd=folder, check=True)
    tree = subprocess.run(
        ["git", "write-tree"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()
    files = files_of(repository, tree)
    assert set(files) == {"b*{c}/package.json", "x'$(touch y)/go.mod"}
    proposal = propose(files, Machine())
    assert proposal.gates == ()
    assert tomllib.loads(render(proposal)) == {"prompt": "agent", "max_cost": 5.0}
