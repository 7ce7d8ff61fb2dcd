"""`agentflow attest`: a run's verdict as an in-toto statement, made and checked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.bundle import AllowedSigners, SigningKey
from agentflow.cli.output import data, exit_codes, print_json, say

if TYPE_CHECKING:
    from agentflow.attestation import Attested
    from agentflow.workspace.repository import Repository


def attest(
    run: Annotated[
        str, typer.Argument(metavar="RUN|TASK|verify", help="A run, or a task for its newest.")
    ],
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="For verify: the attestation.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A new file (default: standard output)."
        ),
    ] = None,
    key: SigningKey = None,
    allowed_signers: AllowedSigners = None,
    allow_unsigned: Annotated[
        bool, typer.Option("--allow-unsigned", help="For verify: take one that nobody signed.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="For verify: what it says, as JSON.")
    ] = False,
) -> None:
    """State a run's verdict for others (attest RUN), or check such a statement (attest verify FILE).

    The statement is in-toto's, about the commit: task, prompt, model, gates and digests of their
    evidence. Without --key it is not signed, and proves nothing to anybody else.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.errors import UsageError

        if run != "verify":
            if file is not None:
                raise UsageError(
                    f"{file} is one word too many", hint="To check it: attest verify FILE"
                )
            _attest(run, output, key)
            return
        if file is None:
            raise UsageError("no file is given", hint="agentflow attest verify FILE")
        _verify(file, allowed_signers, allow_unsigned=allow_unsigned, json=json)


def _attest(run: str, output: Path | None, key: Path | None) -> None:
    from agentflow.attestation import attested, statement_of
    from agentflow.disk import check_new, write_atomically
    from agentflow.verified_runs import verified_run
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    if output:
        check_new(output)
    world = World()
    found = verified_run(open_repository(world.directory, world.environment), run)
    text = attested(statement_of(found.report, found.tip), key)
    if key is None:
        say("not signed: it says what was measured, and proves it to nobody (--key FILE signs it)")
    if output is None:
        data().print(text.rstrip("\n"), fit="whole")
        return
    write_atomically(output, text)
    data().print(str(output))


def _verify(file: Path, signers: Path | None, *, allow_unsigned: bool, json: bool) -> None:
    from agentflow.attestation import MAX_FILE, read_attestation
    from agentflow.errors import AgentFailed
    from agentflow.frontmatter import read_limited
    from agentflow.workspace.repository import open_repository
    from agentflow.world import World

    world = World()
    repository = open_repository(world.directory, world.environment)
    made_by = "It is a file that `agentflow attest RUN -o FILE` writes."
    found = read_attestation(read_limited(file, MAX_FILE, made_by), str(file), signers)
    if found.signer is None and not allow_unsigned:
        raise AgentFailed(
            f"{file} is not signed, so anybody can have written it",
            hint="--allow-unsigned checks the rest.",
        )
    wrong = _wrong(found, repository)
    if wrong:
        raise AgentFailed(f"{file} does not fit this repository: {wrong[0]}")
    said = found.predicate
    if json:
        print_json({"commit": found.commit, "signer": found.signer, **said})
        return
    by = f"signed by {found.signer}" if found.signer else "not signed"
    data().print(f"{found.commit} was verified ({by})")
    gates = ", ".join(f"{gate['name']} {gate['status']}" for gate in said["gates"])
    for label, value in (
        ("run", said["run"]),
        ("model", said["model"]),
        ("prompt", said["prompt"]["name"]),
        ("gates", gates),
    ):
        data().print((f"  {label:<9}", "dim"), _shown(value))


def _shown(value: object) -> str:
    from agentflow.neutral import one_line

    return one_line(str(value), 400)


def _wrong(found: "Attested", repository: "Repository") -> list[str]:
    """What this repository knows to be otherwise: its commit, and the run's report if it is here."""
    from agentflow.attestation import differences
    from agentflow.runs import list_runs
    from agentflow.verified_runs import names_run

    if not repository.git.succeeds("cat-file", "-e", f"{found.commit}^{{commit}}"):
        return [f"there is no commit {found.commit[:12]} here"]
    base = found.predicate["base"]["gitCommit"]
    if not repository.git.succeeds("merge-base", "--is-ancestor", base, found.commit):
        return ["the commit does not descend from the base"]
    if not names_run(repository, found.commit, found.predicate["run"]):
        return ["the commit does not name the run"]
    reports = [each for each in list_runs(repository.root) if each["run"] == found.predicate["run"]]
    return differences(found, reports[-1]) if reports else []
