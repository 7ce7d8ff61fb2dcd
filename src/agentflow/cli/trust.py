"""`agentflow trust`: grant a repository what widens its reach."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from agentflow.cli.output import exit_codes, is_terminal, print_json, say, talk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow.trust import Trust
    from agentflow.workspace.repository import Repository


def trust(
    base: Annotated[
        str, typer.Option(metavar="REV", help="The commit whose configuration is read.")
    ] = "HEAD",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Grant it without asking.")] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take back what was granted.")] = False,
    print_hash: Annotated[
        bool, typer.Option("--print-hash", help="Print the value of AGENTFLOW_TRUST and no more.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Show it as JSON; grants only with --yes.")
    ] = False,
) -> None:
    """Show what this repository's configuration asks for beyond the sandbox, and grant it.

    That is network for setup and agent, variables and files of yours, services, paths to read, and
    hooks, which run outside the sandbox.
    The grant is yours alone, holds for exactly these words, and is kept in trust.json beside your
    config.toml. In CI, set AGENTFLOW_TRUST to the hash instead.
    """
    with exit_codes("json" if json else "text"):
        from agentflow.errors import UsageError
        from agentflow.trust import digest, grant, read_trust
        from agentflow.workspace.repository import open_repository
        from agentflow.world import World

        if sum((yes, revoke, print_hash)) > 1:
            raise UsageError("--yes, --revoke and --print-hash exclude each other")
        world = World()
        repository = open_repository(world.directory, world.environment)
        if revoke:
            grant(repository.common_dir, world.environment, "")
            say(f"nothing is granted to {repository.root} any more")
            return
        commit, wanted = _wanted(repository, base, world.environment)
        sha256 = digest(wanted) if wanted else ""
        known = read_trust(repository.common_dir, world.environment)
        if print_hash:
            sys.stdout.write(f"{sha256}\n" if sha256 else "")
            return
        if not json:
            _show(repository, commit, wanted, known)
        granted = known.covers(wanted) or yes or (not json and _agreed())
        if granted and not known.covers(wanted):
            grant(repository.common_dir, world.environment, wanted)
            say(f"granted to {repository.root} (AGENTFLOW_TRUST={sha256})")
        if json:
            print_json({
                "type": "trust", "repository": str(repository.root), "base": commit,
                "text": wanted, "sha256": sha256, "trusted": granted,
            })  # fmt: skip


def _wanted(
    repository: "Repository", base: str, environment: "Mapping[str, str]"
) -> tuple[str, str]:
    """The commit, and what its configuration asks for."""
    from agentflow.settings import CONFIG, shared_table
    from agentflow.trust import widening

    commit = repository.resolve(base)
    if CONFIG in (*repository.changed_paths(), *repository.untracked_paths(CONFIG)):
        say(f"note: {CONFIG} is read as of {commit[:12]}, without your uncommitted changes")
    table = shared_table(repository.read(commit, CONFIG), environment)
    return commit, widening(table)


def _show(repository: "Repository", commit: str, wanted: str, known: "Trust") -> None:
    from agentflow.neutral import neutral
    from agentflow.settings import CONFIG
    from agentflow.trust import difference

    where = f"{CONFIG} at {commit[:12]}"
    if not wanted:
        say(f"{where} asks for nothing beyond the sandbox")
        return
    sys.stdout.write(neutral(wanted))
    sys.stdout.flush()
    if known.covers(wanted):
        say(f"this is granted to {repository.root} already")
    elif known.text:
        say("changed since you trusted it:")
        talk().print(neutral(difference(known.text, wanted, where)), fit="whole")


def _agreed() -> bool:
    """Ask on a terminal. Raises `UsageError` where nobody could be asked, or said no."""
    from agentflow.errors import UsageError

    if not is_terminal():
        raise UsageError("it was not granted: there is nobody to ask", hint="Give --yes.")
    if not typer.confirm("Grant exactly this to the repository?", err=True):
        raise UsageError("it was not granted")
    return True
