"""Go, Rust and Java: modules, crates and their tools."""

import re
import shlex
from collections.abc import Iterator

from agentflow.init.files import MAX_LOCK, Files, table
from agentflow.init.host import Host
from agentflow.init.proposal import CHANGED, GateProposal, Install, Proposal, gate_name, inside
from agentflow.init.registries import reach
from agentflow.records import WORKSPACE

CARGO_HOME = ".cargo-home"
"""Where setup keeps crates, in the tree."""


def detect_go(files: Files, folder: str, host: Host) -> Proposal:
    """What a Go module proposes. What it needs is vendored: that works without network."""
    module = inside(folder, "go.mod")
    reason = f"{module} is there"
    linters = files.first(*(inside(folder, f".golangci.{end}") for end in ("yml", "yaml", "toml")))
    gates = [
        GateProposal(
            gate_name(folder, "format"), "format", f"{CHANGED}'*.go' | xargs -0 -r gofmt -w",
            f"{reason}; it formats what the change touched", cwd=folder, fix=True,
        ),
        GateProposal(gate_name(folder, "vet"), "lint", "go vet ./...", reason, cwd=folder),
        GateProposal(gate_name(folder, "test"), "test", "go test ./...", reason, cwd=folder),
    ]  # fmt: skip
    if linters:
        there = host.has("golangci-lint")
        gates.insert(1, GateProposal(
            gate_name(folder, "lint"), "lint", "golangci-lint run",
            f"{linters} is there" + ("" if there else "; but golangci-lint is not on PATH"),
            cwd=folder, live=there,
        ))  # fmt: skip
    needs = re.search(r"^[ \t]*require\b", files.text(module), re.MULTILINE)
    if not needs or inside(folder, "vendor/modules.txt") in files:
        return Proposal(tuple(gates))
    found = reach("go", files, folder, host)
    line = "go work vendor" if inside(folder, "go.work") in files else "go mod vendor"
    return Proposal(
        tuple(gates),
        (
            Install(
                _at(folder, line),
                f"{module} requires modules",
                (module, inside(folder, "go.sum"), "**/go.mod"),
                (inside(folder, "vendor"),),
                hosts=found.hosts,
                unfamiliar=found.unfamiliar,
                variables=found.variables,
            ),
        ),
    )


def detect_cargo(files: Files, folder: str, host: Host) -> Proposal:
    """What a crate or a workspace of crates proposes."""
    manifest, lock = inside(folder, "Cargo.toml"), inside(folder, "Cargo.lock")
    reason = f"{manifest} is there"
    locked = " --locked" if lock in files else ""
    text = files.text(lock, MAX_LOCK) if locked else files.text(manifest)
    fetches = "source = " in text if locked else "dependencies" in text
    offline = " --offline" if fetches else ""
    edition = str(table(files.toml(manifest), "package").get("edition", ""))
    edition = edition if re.fullmatch(r"20\d\d", edition) else "2021"
    strict = " -- -D warnings" if _denies_warnings(files) else ""
    gates = (
        _cargo_gate(host, folder, "format", "rustfmt", reason,
            f"{CHANGED}'*.rs' | xargs -0 -r rustfmt --edition {edition}"),
        _cargo_gate(host, folder, "lint", "cargo-clippy", reason,
            f"cargo clippy --all-targets{locked}{offline}{strict}"),
        _cargo_gate(host, folder, "test", "cargo", reason, f"cargo test{locked}{offline}"),
    )  # fmt: skip
    # the agent's tree is read-only but for what its task allows
    agent = {"CARGO_TARGET_DIR": "/tmp/target"}  # noqa: S108  inside the sandbox
    if not fetches:
        return Proposal(gates, (Install("", reason, agent_variables=agent),))
    found = reach("cargo", files, folder, host)
    home = inside(folder, CARGO_HOME)
    install = Install(
        _at(folder, f"cargo fetch{locked}"),
        f"{lock if locked else manifest} names crates",
        tuple(path for path in (lock, manifest, "**/Cargo.toml") if path in files or "*" in path),
        (home,),
        hosts=found.hosts,
        unfamiliar=found.unfamiliar,
        variables={"CARGO_HOME": f"{WORKSPACE}/{home}"},
        agent_variables=agent,
    )
    return Proposal(gates, (install,))


def _cargo_gate(
    host: Host, folder: str, kind: str, program: str, reason: str, line: str
) -> GateProposal:
    there = host.has(program)
    if not there:
        reason += f"; but {program} is not on PATH"
    name = gate_name(folder, kind)
    if kind == "format":
        return GateProposal(name, "format", line, reason, cwd=folder, fix=True, live=there)
    if kind == "lint":
        return GateProposal(name, "lint", line, reason, cwd=folder, live=there)
    return GateProposal(name, "test", line, reason, cwd=folder)


def _denies_warnings(files: Files) -> bool:
    """Whether the repository's own automation treats clippy's warnings as errors."""
    places = [p for p in files if p.startswith(".github/workflows/") or p.endswith("akefile")]
    return any(
        re.search(r"clippy[^\n]{0,200}-D\s*warnings", files.text(path)) for path in places[:30]
    )


def detect_java(files: Files, folder: str) -> Proposal:
    """What Maven and Gradle could run. They keep what they install outside of the tree, where it
    cannot be kept for a run, so a person has to decide."""
    gates: list[GateProposal] = []
    for name, wrapper, line in _java_builds(files, folder):
        program = f"./{wrapper}" if inside(folder, wrapper) in files else line.split()[0]
        command = " ".join((program, *line.split()[1:]))
        reason = f"{inside(folder, name)} is there; its dependencies have to be in the tree"
        gates.append(
            GateProposal(gate_name(folder, "test"), "test", command, reason, cwd=folder, live=False)
        )
    return Proposal(tuple(gates))


def _java_builds(files: Files, folder: str) -> Iterator[tuple[str, str, str]]:
    for name, wrapper, line in (
        ("pom.xml", "mvnw", "mvn -B -o test"),
        ("build.gradle", "gradlew", "gradle --offline test"),
        ("build.gradle.kts", "gradlew", "gradle --offline test"),
    ):
        if inside(folder, name) in files:
            yield name, wrapper, line


def _at(folder: str, line: str) -> str:
    return f"cd {shlex.quote(folder)} && {line}" if folder else line
