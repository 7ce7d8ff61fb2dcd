"""JavaScript and TypeScript repositories."""

import pytest

from tests.init.conftest import Machine, Propose

SCRIPTS: dict[str, object] = {"lint": "eslint .", "typecheck": "tsc", "test": "vitest run"}
DEV: dict[str, object] = {"typescript": "5", "vitest": "3"}
FORMAT = 'git diff -z --name-only --relative --diff-filter=d "${AGENTFLOW_BASE:-HEAD}" -- . '


def test_an_npm_workspace(proposed: Propose) -> None:
    found = proposed({
        "package.json": {
            "workspaces": ["packages/*"], "scripts": SCRIPTS, "devDependencies": DEV,
        },
        "package-lock.json": {
            "packages": {"node_modules/a": {"resolved": "https://npm.example.com/a.tgz"}}
        },
        "packages/a/package.json": {"name": "a", "scripts": {"test": "echo"}},
    })  # fmt: skip

    assert found.commands == {
        "lint": "npm run lint", "typecheck": "npm run typecheck", "test": "npm test",
    }  # fmt: skip
    environment = found.settings.environment
    assert environment.setup == "npm ci --no-audit --no-fund"
    assert environment.key == ("package-lock.json", "package.json", "**/package.json")
    assert environment.provides == ("**/node_modules",)
    assert environment.scratch == (
        "node_modules/.cache", "node_modules/.vite", "node_modules/.vite-temp",
    )  # fmt: skip
    assert environment.network == ("npm.example.com",)
    assert "# package.json has a script `lint`\n[[gates]]" in found.text
    assert found.proposal.installs[0].unfamiliar == ("npm.example.com",)


@pytest.mark.parametrize(
    ("lock", "setup", "test", "tsc"),
    [
        (
            "pnpm-lock.yaml",
            "pnpm install --frozen-lockfile --store-dir .pnpm-store",
            "pnpm run test",
            "pnpm exec tsc --noEmit",
        ),
        (
            "yarn.lock",
            "yarn install --frozen-lockfile",
            "yarn run test",
            "yarn run tsc --noEmit",
        ),
        (
            "bun.lock",
            "bun install --frozen-lockfile",
            "bun run test",
            "bunx --no-install tsc --noEmit",
        ),
        (
            "package-lock.json",
            "npm ci --no-audit --no-fund",
            "npm test",
            "npx --no-install tsc --noEmit",
        ),
    ],
)
def test_the_lock_file_says_which_manager(
    proposed: Propose, lock: str, setup: str, test: str, tsc: str
) -> None:
    found = proposed({
        "package.json": {"scripts": {"test": "x"}, "devDependencies": {"typescript": "5"}},
        "tsconfig.json": "{}",
        lock: "{}",
    })
    assert found.settings.environment.setup == setup
    assert found.settings.environment.provides == ("node_modules",)
    assert found.commands == {"typecheck": tsc, "test": test}


def test_yarn_from_version_2_installs_into_folders_that_can_be_kept(proposed: Propose) -> None:
    found = proposed({
        "package.json": {"devDependencies": DEV},
        "yarn.lock": "__metadata:\n  version: 8\n",
    })
    assert found.settings.environment.setup == "yarn install --immutable"
    assert found.settings.environment.variables["YARN_NODE_LINKER"] == "node-modules"


def test_without_a_lock_file_the_named_manager_is_taken(proposed: Propose) -> None:
    found = proposed({
        "package.json": {"packageManager": "pnpm@10.1.0", "dependencies": {"a": "1"}}
    })
    assert found.settings.environment.setup == "pnpm install --store-dir .pnpm-store"
    assert "package.json has no lock file" in found.text


def test_tools_without_scripts(proposed: Propose) -> None:
    needs = {"eslint": "9", "typescript": "5", "jest": "30", "prettier": "3"}
    found = proposed({
        "package.json": {"devDependencies": needs},
        "eslint.config.mjs": "",
        "tsconfig.json": '{"references": [] /* a comment */}',
        "package-lock.json": "{}",
    })
    assert found.commands == {
        "format": f"{FORMAT}| xargs -0 -r npx --no-install prettier --write --ignore-unknown",
        "lint": "npx --no-install eslint .",
        "typecheck": "npx --no-install tsc -b",
        "test": "npx --no-install jest",
    }
    assert found.gate("format").fix


def test_the_runner_that_node_brings(proposed: Propose) -> None:
    found = proposed({
        "package.json": {"type": "module"},
        "test/a.test.js": 'import test from "node:test";\n',
    })
    assert found.commands == {"test": "node --test"}
    assert found.settings.environment.setup is None


def test_scripts_that_measure_nothing_are_named(proposed: Propose) -> None:
    found = proposed({
        "package.json": {
            "scripts": {
                "test": 'echo "Error: no test specified" && exit 1',
                "lint": "eslint --watch .",
                "build": "tsc",
                "test:e2e": "playwright test",
            }
        }
    })
    assert found.commands == {}
    assert [gate.where for gate in found.settings.gates] == ["ci"]
    assert found.settings.gates[0].name == "test-e2e"
    for words in ("only says that there is no test", "watches and never ends", "script `build`"):
        assert words in found.notes


def test_turbo_and_nx_run_what_the_root_has_no_script_for(proposed: Propose) -> None:
    packages: dict[str, object] = {"name": "a", "scripts": {"test": "vitest run", "lint": "x"}}
    root: dict[str, object] = {"workspaces": ["packages/*"]}
    turbo = proposed({
        "package.json": root,
        "turbo.json": '{\n  // tasks\n  "tasks": {"lint": {}, "test": {},},\n}',
        "packages/a/package.json": packages,
        "pnpm-lock.yaml": "",
    })
    assert turbo.commands == {
        "lint": "pnpm exec turbo run lint", "test": "pnpm exec turbo run test",
    }  # fmt: skip
    nx = proposed({
        "package.json": root,
        "nx.json": {"targetDefaults": {"test": {}}},
        "packages/a/project.json": {"targets": {"typecheck": {}}},
        "packages/a/package.json": {"name": "a"},
        "package-lock.json": "{}",
    })
    assert nx.commands == {
        "typecheck": "npx --no-install nx run-many -t typecheck",
        "test": "npx --no-install nx run-many -t test",
    }
    assert nx.settings.environment.variables == {"NX_DAEMON": "false"}
    assert 'nx affected -t test --base="$AGENTFLOW_BASE"' in nx.text
    plain = proposed({"package.json": root, "packages/a/package.json": packages})
    assert plain.commands == {
        "lint": "npm run --workspaces --if-present lint",
        "test": "npm run --workspaces --if-present test",
    }


def test_a_pnpm_workspace_is_known_by_its_own_file(proposed: Propose) -> None:
    found = proposed({
        "package.json": {"private": True},
        "pnpm-workspace.yaml": "packages:\n  - packages/*\n",
        "pnpm-lock.yaml": "lockfileVersion: '9.0'\n",
        "packages/a/package.json": {"name": "a", "scripts": {"test": "x"}},
    })
    assert found.commands == {"test": "pnpm -r --if-present run test"}
    assert found.settings.environment.provides == ("**/node_modules",)


QUESTION = ("npm", "config", "get", "registry")


def test_the_user_s_registry_is_told_to_the_sandbox(proposed: Propose) -> None:
    files: dict[str, str | dict[str, object]] = {
        "package.json": {"dependencies": {"a": "1"}}, "package-lock.json": "{}",
    }  # fmt: skip
    own = Machine(
        answers={QUESTION: "https://mirror.example.com:8443/npm/"},
        bare={QUESTION: "https://npm.example.com/"},
    )
    found = proposed(files, own)
    assert found.settings.environment.network == ("mirror.example.com:8443",)
    assert found.settings.environment.variables == {
        "npm_config_registry": "https://mirror.example.com:8443/npm/"
    }
    assert found.proposal.installs[0].unfamiliar == ()
    plain = Machine(answers={QUESTION: "https://a.example/"}, bare={QUESTION: "https://a.example/"})
    assert proposed(files, plain).settings.environment.variables == {}


def test_credentials_of_a_registry_are_not_written(proposed: Propose) -> None:
    machine = Machine(answers={QUESTION: "https://ada:s3cret@npm.example.com/"})
    found = proposed({"package.json": {"dependencies": {"a": "1"}}}, machine)
    assert found.settings.environment.network == ("npm.example.com",)
    assert "s3cret" not in found.text


def test_without_any_hint_the_registry_is_left_to_the_user(proposed: Propose) -> None:
    found = proposed({"package.json": {"dependencies": {"a": "1"}}})
    assert found.settings.environment.network == ()
    assert '# network = ["<host of your registry>", "<host of its files>"]' in found.text
