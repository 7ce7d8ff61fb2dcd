"""What Landlock does not hold, case by case; the rest of the suite holds as under bubblewrap."""

from collections.abc import Mapping
from typing import NamedTuple


class Difference(NamedTuple):
    """What an attack succeeds in there."""

    why: str
    """In words, for docs/security-tests.md."""
    seen: str
    """What its case ends with, as an expression: whatever else is seen is a failure of another kind."""


LANDLOCK: Mapping[str, Difference] = {
    "BD-04": Difference(
        "modes and times of one's own files can be changed wherever they are",
        "AssertionError: chmod 777 apps/web/f.py",
    ),
    "BD-06": Difference(
        "a denial within an allowed folder is left to the import (BD-05)",
        "AssertionError: echo written > apps/api/vendor/f.py",
    ),
    "EN-06": Difference(
        "whether a path of this machine exists can be seen; its content cannot",
        r"AssertionError: (/\S+\n)*/sys\n(find: ./\w+.: (Permission denied|No such file or directory)\n)+end",
    ),
    "EN-07": Difference(
        "host name, user and command lines of processes are this machine's",
        "AssertionError: this machine's: ipc, mnt, net, pid, user, uts",
    ),
    "GT-01": Difference(
        "where the whole tree is allowed, the pointer can be replaced while the toolbox runs; afterwards it is written anew",
        r"AssertionError: everything allowed: rm -f \.git",
    ),
    "PR-06": Difference(
        "a command can kill its own toolbox, which ends the run; nothing outside is reached",
        "agentflow.errors.EnvironmentFailure: the sandbox ended unexpectedly: exit status 137",
    ),
    "PR-11": Difference(
        "scratch and home folders are on the disk, where the growth of all files is bounded",
        r"AssertionError: not sized: /\S+ (/dev/shm )?/\S+ \.orchestrator/complete",
    ),
    "PT-13": Difference(
        "the list of users is this machine's",
        r"AssertionError: users: root, .*",
    ),
    "PT-24": Difference(
        "a denial within an allowed folder is left to the import (BD-05)",
        r"AssertionError: Replaced apps/api/vendor/f\.py \(8 bytes\)\.",
    ),
    "SL-09": Difference(
        "what lies in an allowed folder can be renamed there, a denied folder too",
        "AssertionError: mv apps/api/vendor apps/api/SL-09-v",
    ),
}
"""Each must fail there, and as it says: a case that holds is taken off the list."""

OFTEN: frozenset[str] = frozenset({
    *("BD-01", "BD-02", "BD-03", "BD-05", "BD-12", "EN-01", "EN-02", "EN-04", "EN-05", "EN-08"),
    *("FG-01", "FG-06", "GT-02", "GT-03", "GT-04", "GT-05", "GT-10", "PR-01", "PR-02", "PR-03"),
    *("PR-04", "PR-05", "PR-07", "PR-10", "PR-11b", "PR-12", "PR-14", "PR-15", "PR-16", "PR-18"),
    *("PT-02", "PT-04", "PT-10", "PT-11", "PT-15", "PT-16", "PT-18", "PT-21", "PT-26", "SL-01"),
    *("SL-02", "SL-03", "SL-06", "SL-07", "SL-12"),
    *LANDLOCK,
})
"""Tried in every run of the tests: what the kernel must refuse, and one whole run of each kind."""
