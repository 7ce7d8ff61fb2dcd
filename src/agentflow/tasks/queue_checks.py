"""What is wrong with the dependencies of a queue as a whole."""

from collections.abc import Callable, Iterator, Sequence

from agentflow.tasks.document import Problem

Need = tuple[str, int, Sequence[str]]
"""A task's id, its line, and the ids that it depends on."""


def unknown(needs: Sequence[Need], is_elsewhere: Callable[[str], bool]) -> Iterator[Problem]:
    """Dependencies that neither the queue holds nor, as `is_elsewhere` says, another place."""
    known = {name for name, _, _ in needs}
    for identifier, line, depends_on in needs:
        for name in depends_on:
            if name not in known and not is_elsewhere(name):
                told = f"{identifier} depends on {name}, which is not there"
                yield Problem(line, "error", "depends-unknown", told)


def cycles(needs: Sequence[Need]) -> Iterator[Problem]:
    """Tasks that wait for themselves, found by taking away all that wait for nothing."""
    waiting = {identifier: set(depends_on) for identifier, _, depends_on in needs}
    waits_for: dict[str, list[str]] = {}
    for identifier, _, depends_on in needs:
        for name in depends_on:
            waits_for.setdefault(name, []).append(identifier)
    free = [name for name in waits_for if name not in waiting]
    free += [name for name, left in waiting.items() if not left]
    while free:
        done = free.pop()
        for name in waits_for.get(done, ()):
            left = waiting[name]
            if done in left:
                left.discard(done)
                free += [name] if not left else []
    stuck = [(name, line) for name, line, _ in needs if waiting[name]]
    if stuck:
        named = ", ".join(name for name, _ in stuck[:10])
        yield Problem(stuck[0][1], "error", "cycle", f"these wait for each other: {named}")
