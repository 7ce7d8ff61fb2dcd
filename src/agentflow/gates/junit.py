"""A test runner's own report (JUnit XML): which tests ran, and how they ended.

The elements `testcase` with `name` and `classname`, and in them `failure`, `error` or `skipped`, are
what pytest, Jest, Gradle, Surefire, gotestsum and others write alike; there is no standard.
"""

from collections.abc import Sequence
from xml.parsers.expat import ExpatError, ParserCreate

from agentflow.frozen import record
from agentflow.nearest import nearest

_ENDINGS = {"failure": "failed", "error": "failed", "skipped": "skipped"}


@record
class CaseResult:
    """How one test ended."""

    name: str
    place: str
    """Its class, module or file, as the runner says; may be empty."""
    ending: str
    """`passed`, `failed` or `skipped`."""

    def is_called(self, wanted: str) -> bool:
        """Whether it is meant: by its name, alone or behind its place and `.` or `::`; a name without
        `[` means all cases of a parametrized test."""
        bare = self.name if "[" in wanted else self.name.partition("[")[0]
        places = ("", f"{self.place}.", f"{self.place}::") if self.place else ("",)
        return any(wanted == f"{place}{name}" for place in places for name in (self.name, bare))


def read_junit(report: bytes) -> tuple[CaseResult, ...]:
    """Return the tests of a report. Raises `ValueError` for what is no XML, or declares entities: the
    report comes from code that nobody trusts."""
    found: list[CaseResult] = []
    parser = ParserCreate()

    def start(element: str, attributes: dict[str, str]) -> None:
        if element == "testcase":
            places = attributes.get("classname", ""), attributes.get("name", "")
            found.append(CaseResult(places[1], places[0], "passed"))
        elif element in _ENDINGS and found and found[-1].ending != "failed":
            found[-1] = CaseResult(found[-1].name, found[-1].place, _ENDINGS[element])

    def refuse(*_: object) -> None:
        raise ValueError("it has a document type")

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(report, True)
    except ExpatError as error:
        raise ValueError(f"it is no XML ({error})") from error
    return tuple(found)


def shortcoming(results: Sequence[CaseResult], wanted: Sequence[str]) -> str:
    """What a report lacks, as the end of a sentence about it; empty if every wanted test passed, at
    least one test did, and none failed."""
    failed = [each.name for each in results if each.ending == "failed"]
    if failed:
        return f"says that {failed[0]} failed"
    if not any(each.ending == "passed" for each in results):
        return "has no test that passed"
    for name in wanted:
        meant = [each for each in results if each.is_called(name)]
        if not meant:
            return f"does not have {name}{nearest(name, (each.name for each in results))}"
        skipped = [each.name for each in meant if each.ending != "passed"]
        if skipped:
            return f"says that {skipped[0]} was skipped"
    return ""
