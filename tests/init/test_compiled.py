"""Go, Rust and Java repositories, make and just."""

from agentflow.records import WORKSPACE
from tests.init.conftest import Machine, Propose

CHANGED = 'git diff -z --name-only --relative --diff-filter=d "${AGENTFLOW_BASE:-HEAD}" -- '
GO = ("go", "env", "GOPROXY")


def test_a_go_module(proposed: Propose) -> None:
    machine = Machine(
        answers={GO: "https://go.example.com,direct"}, bare={GO: "https://go.example.com,direct"}
    )
    found = proposed(
        {"go.mod": "module a\n\nrequire example.com/b v1.0.0\n", "go.sum": "", "main.go": ""},
        machine,
    )
    assert found.commands == {
        "format": f"{CHANGED}'*.go' | xargs -0 -r gofmt -w",
        "vet": "go vet ./...",
        "test": "go test ./...",
    }
    environment = found.settings.environment
    assert (environment.setup, environment.provides) == ("go mod vendor", ("vendor",))
    assert environment.network == ("go.example.com",)
    assert environment.variables == {}


def test_a_go_module_that_needs_nothing_or_holds_it(proposed: Propose) -> None:
    linter = proposed({"go.mod": "module a\n", ".golangci.yml": "", "a.go": ""})
    assert linter.settings.environment.setup is None
    assert "but golangci-lint is not on PATH\n# [[gates]]" in linter.text
    vendored = proposed({"go.mod": "module a\nrequire b v1\n", "vendor/modules.txt": ""})
    assert vendored.settings.environment.setup is None


def test_a_crate(proposed: Propose) -> None:
    found = proposed({
        "Cargo.toml": '[package]\nname = "a"\nedition = "2024"\n[dependencies]\nb = "1"\n',
        "Cargo.lock": '[[package]]\nname = "b"\nsource = "sparse+https://crates.example.com/i/"\n',
        "src/lib.rs": "",
        ".github/workflows/ci.yml": "- run: cargo clippy --all -- -D warnings\n",
    })
    assert found.commands == {
        "format": f"{CHANGED}'*.rs' | xargs -0 -r rustfmt --edition 2024",
        "lint": "cargo clippy --all-targets --locked --offline -- -D warnings",
        "test": "cargo test --locked --offline",
    }
    environment = found.settings.environment
    assert environment.setup == "cargo fetch --locked"
    assert environment.provides == (".cargo-home",)
    assert environment.variables == {"CARGO_HOME": f"{WORKSPACE}/.cargo-home"}
    assert environment.agent.variables == {"CARGO_TARGET_DIR": "/tmp/target"}
    assert environment.network == ("crates.example.com",)


def test_a_crate_that_needs_nothing(proposed: Propose) -> None:
    found = proposed(
        {"Cargo.toml": '[package]\nname = "a"\n', "src/lib.rs": ""},
        Machine(programs=frozenset({"cargo"})),
    )
    assert found.commands == {"test": "cargo test"}
    assert found.settings.environment.setup is None
    assert "cargo-clippy is not on PATH" in found.text


def test_java_is_left_to_the_user(proposed: Propose) -> None:
    found = proposed({"pom.xml": "<project/>", "mvnw": "", "app/build.gradle": ""})
    assert found.commands == {}
    assert '# command = "./mvnw -B -o test"' in found.text
    assert "refuses to start without a gate" in found.text


def test_make_targets(proposed: Propose) -> None:
    makefile = (
        "typecheck := cc\nX = a:b\n.PHONY: test lint\ntest check: build\n\t@a: b\nlint:\n\ttrue\n"
    )
    found = proposed({"Makefile": f"{makefile}deps:\n\ttrue\n", "a.c": ""})
    assert found.commands == {"lint": "make lint", "test": "make test"}
    assert "Makefile has a target `deps`" in found.notes
    absent = proposed({"Makefile": makefile}, Machine(programs=frozenset()))
    assert absent.commands == {}
    assert "make is not on PATH" in absent.text


def test_make_beside_another_runner_is_an_alternative(proposed: Propose) -> None:
    found = proposed({
        "go.mod": "module a\n",
        "Makefile": "test:\n\tgo test\n",
        "justfile": "test:",
    })
    assert found.commands["test"] == "go test ./..."
    assert "instead of the gate above, if it does more" in found.text
    assert '# command = "make test"' in found.text
