"""Hooks of the repository: agentflow never runs them at a commit, so they become gates, or a word
on why not."""

import re
import shlex
from collections.abc import Iterator

from agentflow.init.files import Files, items, table
from agentflow.init.node_project import MANIFEST, WATCHING
from agentflow.init.proposal import GateProposal, Proposal, gate_name
from agentflow.records import Json

PRE_COMMIT = (".pre-commit-config.yaml", ".pre-commit-config.yml")
LEFTHOOK = tuple(f"{dot}lefthook.{end}" for dot in ("", ".") for end in ("yml", "yaml"))
HUSKY = re.compile(r"\.husky/(?:pre-commit|pre-push|commit-msg)")
COMMITLINT = re.compile(r"(?:\.commitlintrc(?:\.\w+)?|commitlint\.config\.\w+)")
STAGED = re.compile(r"lint-staged|\{(?:staged|push|all)_files\}|nano-staged|pretty-quick")
SCRIPT = re.compile(r"(?:npm|pnpm|yarn|bun)(?:\s+run)?\s+(?:-s\s+|--silent\s+)?([\w:.-]+)")
MAX_LINES = 20
"""Commands of one hook that are looked at."""
COVERED = frozenset({
    "ruff", "ruff-check", "ruff-format", "black", "mypy", "flake8", "basedpyright", "pytest",
})  # fmt: skip
"""Ids of pre-commit hooks that the gates for Python know."""


def pre_commit_ids(files: Files) -> frozenset[str]:
    """The ids of all pre-commit hooks."""
    return frozenset(str(hook.get("id", "")) for hook in _pre_commit_hooks(files))


def detect(files: Files, found: Proposal) -> Proposal:
    """What the hooks propose, beside what was found already."""
    gates: list[GateProposal] = []
    notes: list[str] = []
    commands = [*_husky(files), *_lefthook(files)]
    for source, line in commands:
        gate, note = _judge(files, source, line, found)
        gates += [gate] if gate and gate.command not in {g.command for g in gates} else []
        notes += [note] if note else []
    configured = next((path for path in files if COMMITLINT.fullmatch(path)), "")
    if configured and not any("commitlint" in line for _, line in commands):
        notes.append(f"{configured}: {_MESSAGES}")
    gates += _local_hooks(files)
    foreign = sorted(pre_commit_ids(files) - COVERED - {gate.name for gate in gates} - {""})
    if foreign:
        notes.append(
            f"{files.first(*PRE_COMMIT)}: pre-commit fetches its hooks from the network; without "
            + f"a gate are {', '.join(foreign[:20])}"
        )
    return Proposal(tuple(gates), notes=tuple(notes))


_MESSAGES = "agentflow writes the commit messages, so commitlint is no gate"


def _judge(
    files: Files, source: str, line: str, found: Proposal
) -> tuple[GateProposal | None, str]:
    """A gate for one command of a hook, or why it is none."""
    if "commitlint" in line:
        return None, f"{source} runs commitlint: {_MESSAGES}"
    if STAGED.search(line):
        return None, f"{source} runs `{line}` on staged files: the gates look at the whole change"
    script = SCRIPT.fullmatch(line)
    lines = table(files.json(MANIFEST), "scripts")
    name = script[1] if script else ""
    known = {gate.command for gate in found.live}
    if line in known or any(shlex.quote(name) in c.split() for c in known if name):
        return None, ""
    usable = isinstance(lines.get(name), str) and not WATCHING.search(lines[name])
    reason = f"{source} runs it" + ("" if usable else "; make it live if it works without network")
    return GateProposal(gate_name("hook", name or line), "other", line, reason, live=usable), ""


def _husky(files: Files) -> Iterator[tuple[str, str]]:
    for path in (path for path in files if HUSKY.fullmatch(path)):
        for line in _commands(files.text(path)):
            yield path, line
    manifest = files.json(MANIFEST)
    for name, line in table(manifest, "husky", "hooks").items():
        if isinstance(line, str):
            yield f"husky's {name}", line


def _commands(text: str) -> list[str]:
    """The commands of a hook's script, without comments, options of the shell and boilerplate."""
    lines = (line.strip() for line in text.splitlines())
    skipped = re.compile(r"#|\. |source |set |export |$|if |fi$|then$|else$|exit\b|cd ")
    return [line for line in lines if not skipped.match(line)][:MAX_LINES]


def _lefthook(files: Files) -> Iterator[tuple[str, str]]:
    path = files.first(*LEFTHOOK)
    configuration = files.yaml(path) if path else {}
    for stage in ("pre-commit", "pre-push", "commit-msg"):
        commands = table(configuration, stage, "commands")
        for each in (table(commands, name) for name in commands):
            line = each.get("run")
            if isinstance(line, str) and "\n" not in line.strip():
                yield path, line.strip()


def _pre_commit_hooks(files: Files) -> Iterator[Json]:
    path = files.first(*PRE_COMMIT)
    for repository in items(files.yaml(path).get("repos")) if path else ():
        for hook in items(table({"r": repository}, "r").get("hooks")):
            yield {**table({"h": hook}, "h"), "repo": table({"r": repository}, "r").get("repo")}


def _local_hooks(files: Files) -> Iterator[GateProposal]:
    """Hooks that are commands of the repository itself and look at all of it."""
    for hook in _pre_commit_hooks(files):
        entry, language = hook.get("entry"), hook.get("language")
        whole = str(hook.get("pass_filenames", "true")).lower() == "false"
        local = hook["repo"] == "local" and language in {"system", "script", "unsupported"}
        if local and whole and isinstance(entry, str) and str(hook.get("id")) not in COVERED:
            reason = f"{files.first(*PRE_COMMIT)} has a local hook `{hook.get('id')}`"
            yield GateProposal(gate_name(str(hook.get("id"))), "other", entry.strip(), reason)
