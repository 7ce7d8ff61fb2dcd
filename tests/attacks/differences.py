"""What Landlock does not hold, case by case; the rest of the suite holds as under bubblewrap."""

from collections.abc import Mapping

LANDLOCK: Mapping[str, str] = {
    "BD-04": "modes and times of one's own files can be changed wherever they are",
    "BD-06": "a denial within an allowed folder is left to the import (BD-05)",
    "EN-06": "whether a path of this machine exists can be seen; its content cannot",
    "EN-07": "host name, user and command lines of processes are this machine's",
    "GT-01": "the pointer can be replaced while the toolbox runs; afterwards it is written anew",
    "PR-06": "a command can kill its own toolbox, which ends the run; nothing outside is reached",
    "PR-11": "scratch and home folders are on the disk, where the growth of all files is bounded",
    "PT-13": "the list of users is this machine's",
    "PT-24": "a denial within an allowed folder is left to the import (BD-05)",
    "SL-09": "what lies in an allowed folder can be renamed there, a denied folder too",
}
"""Each must fail there: a case that holds is taken off the list."""

OFTEN: frozenset[str] = frozenset({
    *("BD-01", "BD-02", "BD-03", "BD-05", "BD-12", "EN-01", "EN-02", "EN-04", "EN-05", "EN-08"),
    *("FG-01", "FG-06", "GT-02", "GT-03", "GT-04", "GT-05", "GT-10", "PR-01", "PR-02", "PR-03"),
    *("PR-04", "PR-05", "PR-07", "PR-10", "PR-11b", "PR-12", "PR-14", "PR-15", "PR-16", "PR-18"),
    *("PT-02", "PT-04", "PT-10", "PT-11", "PT-15", "PT-16", "PT-18", "PT-21", "PT-26", "SL-01"),
    *("SL-02", "SL-03", "SL-06", "SL-07", "SL-12"),
    *LANDLOCK,
})
"""Tried in every run of the tests: what the kernel must refuse, and one whole run of each kind."""
