"""Pre-flight: the gates on the base, before any spend. A red base is not the agent's fault."""

import dataclasses
import hashlib
import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from agentflow.disk import FREE, write_atomically
from agentflow.environment import Environment
from agentflow.errors import EnvironmentFailure
from agentflow.events import BaseCheckFinished, BaseCheckStarted
from agentflow.file_locks import locked
from agentflow.gates.command import Change, Commands
from agentflow.interfaces import Emit
from agentflow.journal import open_regular
from agentflow.records import BuildCommand, Json
from agentflow.results import Evidence
from agentflow.sandbox.policy import Provided
from agentflow.strict_json import parse_object

LAST_LINES = 12
"""Lines of a red gate's output in the message."""
MAX_CACHED = 1 << 20
"""Bytes of a cached result."""


def surroundings(environment: Environment, toolchain: str, provided: Sequence[Provided]) -> str:
    """Everything around the gates that may decide how they end, as text; no secret's value."""
    return json.dumps(
        [
            toolchain,
            [[each.path, str(each.source), each.scratch] for each in provided],
            [
                [each.name, each.command, each.ready, dict(each.variables)]
                for each in environment.services
            ],
            dict(environment.gates.literal),
            sorted(environment.gates.secret),
        ],
        sort_keys=True,
    )


async def check_base(
    gates: Sequence[BuildCommand],
    commands: Commands,
    base: str,
    *,
    cache: Path,
    around: str,
    emit: Emit,
    allow_red: bool,
) -> Mapping[str, Evidence]:
    """Run every local gate on the base; return the evidence by the gate's name in the settings.

    An earlier result for the same commit, gate and `surroundings` (`around`) is taken from the
    folder `cache` if the run can go on with it; whatever would stop the run is measured anew. Of
    several runs at once, in any process, one measures and the others take what it finds.
    Raises `EnvironmentFailure` for gates that fail, unless `allow_red`, and for those that should
    fail and pass.
    """
    found: dict[str, Evidence] = {}
    for gate in gates:
        if gate.where == "ci":
            continue
        emit(BaseCheckStarted(gate.name))
        file = cache / f"{_key(gate, base, around)}.json"
        before = _stamp(file)
        async with AsyncExitStack() as alone:
            waited = await alone.enter_async_context(_alone(file))
            evidence = _cached(file)
            cached = evidence is not None and (
                _stamp(file) != before or _goes_on(gate, evidence, allow_red=allow_red)
            )
            if evidence is None or not cached:
                if waited:  # in vain: whoever measured got no result, and the others need not wait
                    await alone.aclose()
                started = time.monotonic()
                measured = await commands.run(gate, base, Change(base, base))
                evidence = replace(measured, seconds=round(time.monotonic() - started, 3))
                write_atomically(file, json.dumps(dataclasses.asdict(evidence)))
        emit(BaseCheckFinished(evidence, cached, gate.must_fail_on_base))
        found[gate.name] = evidence
    _refuse([(g, found[g.name]) for g in gates if g.name in found], base, allow_red=allow_red)
    return found


def _goes_on(gate: BuildCommand, evidence: Evidence, *, allow_red: bool) -> bool:
    if gate.must_fail_on_base:
        return evidence.status == "failed"
    return allow_red or evidence.status == "passed"


def _refuse(
    measured: Sequence[tuple[BuildCommand, Evidence]], base: str, *, allow_red: bool
) -> None:
    """Raise for everything that stops the run, in one message."""
    stopping = [
        (gate, evidence)
        for gate, evidence in measured
        if not _goes_on(gate, evidence, allow_red=allow_red)
    ]
    if not stopping:
        return
    red = [evidence for gate, evidence in stopping if not gate.must_fail_on_base]
    sentences = [
        f"the gate {gate.name} should fail before the change, and passes"
        if gate.must_fail_on_base
        else f"the gate {gate.name} fails on the base {base[:12]}: {evidence.summary}"
        for gate, evidence in stopping
    ]
    tails = [
        f"{evidence.gate}:\n" + "\n".join(evidence.detail.splitlines()[-LAST_LINES:])
        for evidence in red
        if evidence.detail
    ]
    raise EnvironmentFailure(
        "\n".join(("; ".join(sentences), *tails)),
        hint="Mend the base first. If the task is to make it pass, mark the gate with "
        + "`must_fail_on_base` (--new-gate). Or give --allow-red-base: then a gate may fail on "
        + "the result exactly as it does on the base."
        if red
        else "Correct the gate, or drop must_fail_on_base.",
    )


def _key(gate: BuildCommand, base: str, around: str) -> str:
    """A name for one measurement: everything that it may depend on."""
    parts = (base, gate.name, gate.command, gate.cwd, gate.timeout, gate.retries, around)
    parts += (gate.report, *gate.tests)
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()


@asynccontextmanager
async def _alone(file: Path) -> AsyncGenerator[bool]:
    """Hold the lock of one measurement; yields whether another run had it."""
    lock = file.with_suffix(".lock")
    async with AsyncExitStack() as stack:
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            waited = await stack.enter_async_context(locked(lock))
        except OSError as error:
            raise EnvironmentFailure(f"cannot use {lock}: {error.strerror}", hint=FREE) from error
        yield waited


def _stamp(file: Path) -> tuple[int, int] | None:
    """Tells a result from the one that replaced it."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _cached(file: Path) -> Evidence | None:
    """An earlier result, or None if there is none that can be read."""
    try:
        with open_regular(file) as opened:
            fields: Json = parse_object(opened.read(MAX_CACHED))
        fields = {**fields, "notices": tuple(fields["notices"]), "criteria": (), "faults": ()}
        evidence = Evidence(**fields)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return evidence if evidence.status in {"passed", "failed"} else None
