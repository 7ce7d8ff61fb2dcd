"""How a protection is dropped: the edits of the source, and what should notice them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """One textual edit of a file beneath `src/agentflow`; the text stands there exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """A protection, how it is dropped, and the cases that are tried."""

    protection: str
    edits: tuple[Edit, ...]
    cases: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    """What pytest is given: files, and tests by `-k`. For what no attack of the catalogue meets."""


BWRAP = "sandbox/bubblewrap.py"
HOSTS = "sandbox/hosts.py"
PROXY = "sandbox/proxy.py"
IMPORTER = "workspace/importer.py"
KEEPER = "toolbox/landlock.py"
TRIALS = ("tests/sandbox/test_landlock.py",)
NO_SECCOMP = Edit(
    BWRAP,
    '        *("--seccomp", descriptors.data(assemble(unix_sockets=not policy.network.host))),\n',
    "",
)


def one(protection: str, file: str, old: str, new: str, *cases: str) -> Mutation:
    """A protection that one edit drops."""
    return Mutation(protection, (Edit(file, old, new),), cases)


def tested(protection: str, file: str, old: str, new: str, *tests: str) -> Mutation:
    """The same for one that tests of the suite try."""
    return Mutation(protection, (Edit(file, old, new),), tests=tests)
