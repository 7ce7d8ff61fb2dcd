"""The trial: the proposal's gates in a real sandbox."""

from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure
from agentflow.events import Event, SetupFinished
from agentflow.init.proposal import GateProposal, Install, Proposal
from agentflow.init.trial import try_gates
from agentflow.world import World
from tests.init.conftest import make_repository


def gate(name: str, command: str, *, ci: bool = False, live: bool = True) -> GateProposal:
    return GateProposal(name, "test", command, "a reason", ci=ci, live=live)


async def test_setup_runs_once_and_each_live_gate_is_measured(tmp_path: Path, bwrap: str) -> None:
    repository = make_repository(tmp_path / "r", {"a.txt": "a\n", ".gitignore": "deps\n"})
    world = World(repository.root, repository.git.environment, tmp_path / "cache")
    proposal = Proposal(
        (
            gate("good", "grep -q made deps/made && ! touch deps/x"),
            gate("bad", "cat a.txt; exit 3"),
            gate("elsewhere", "false", ci=True),
            gate("proposed", "false", live=False),
        ),
        (Install("mkdir deps && echo made >deps/made", "found", ("a.txt",), ("deps",)),),
    )
    events: list[Event] = []

    for cached in (False, True):
        found = await try_gates(repository, world, proposal, events.append)

        assert [(each.gate, each.status, each.detail) for each in found] == [
            ("build:good", "passed", ""), ("build:bad", "failed", "a"),
        ]  # fmt: skip
        finished = [event for event in events if isinstance(event, SetupFinished)]
        assert finished[-1].cached is cached
    assert not list((tmp_path / "cache").rglob("init-*"))
    assert not (repository.root / "deps").exists()


async def test_a_setup_that_fails_is_one_sentence(tmp_path: Path, bwrap: str) -> None:
    repository = make_repository(tmp_path / "r", {"a.txt": "a\n"})
    world = World(repository.root, repository.git.environment, tmp_path / "cache")
    proposal = Proposal((gate("test", "true"),), (Install("exit 9", "found", (), ("deps",)),))
    with pytest.raises(EnvironmentFailure, match="`exit 9` ended with exit code 9"):
        await try_gates(repository, world, proposal, lambda event: None)
