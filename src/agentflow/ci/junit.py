"""JUnit XML: each task a suite, each gate a test case.

There is no standard. This is what both the schema of Apache Ant's tasks and that of Jenkins
(`junit-10.xsd`) accept.
"""

from collections.abc import Sequence
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from agentflow.ci.judged import Judged
from agentflow.neutral import one_line, xml_text
from agentflow.results import Evidence

MAX_DETAIL = 20_000
"""Characters of what a gate found, the last ones."""


def junit(judged: Sequence[Judged], now: datetime) -> str:
    """The document. A task that ended otherwise than `done` has a case that says so, `outcome`: no
    gate may have run. One that was not begun is skipped."""
    root = Element("testsuites")
    for number, each in enumerate(judged):
        _suite(root, number, each, now)
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _suite(root: Element, number: int, judged: Judged, now: datetime) -> None:
    statuses = [evidence.status for evidence in judged.evidence]
    errors = 0 if judged.passed or judged.skipped or judged.outcome == "failed" else 1
    suite = SubElement(
        root,
        "testsuite",
        name=_name(judged.name),
        package="agentflow",
        id=str(number),
        timestamp=f"{judged.began or now:%Y-%m-%dT%H:%M:%S}",
        hostname="localhost",
        tests=str(len(statuses) + 1),
        failures=str(statuses.count("failed") + (judged.outcome == "failed")),
        errors=str(errors),
        skipped=str(statuses.count("skipped") + judged.skipped),
        time=f"{judged.seconds:.3f}",
    )
    properties = SubElement(suite, "properties")
    for name, value in (("run", judged.run), ("outcome", judged.outcome), ("title", judged.title)):
        SubElement(properties, "property", name=name, value=xml_text(value))
    for evidence in judged.evidence:
        _gate(suite, judged, evidence)
    _outcome(suite, judged)
    SubElement(suite, "system-out")
    SubElement(suite, "system-err")


def _gate(suite: Element, judged: Judged, evidence: Evidence) -> None:
    case = _case(suite, judged, evidence.gate, evidence.seconds)
    message = xml_text(one_line(evidence.summary, 500))
    if evidence.status == "skipped":
        SubElement(case, "skipped", message=message)
    elif evidence.status == "failed":
        found = SubElement(case, "failure", type=_name(evidence.gate), message=message)
        found.text = xml_text(evidence.detail[-MAX_DETAIL:])


def _outcome(suite: Element, judged: Judged) -> None:
    case = _case(suite, judged, "outcome", 0.0)
    if judged.passed:
        return
    message = xml_text(one_line(judged.reason or judged.outcome, 500))
    if judged.skipped:
        SubElement(case, "skipped", message=message)
        return
    kind = "failure" if judged.outcome == "failed" else "error"
    found = SubElement(case, kind, type=_name(judged.outcome), message=message)
    found.text = xml_text("\n".join(filter(None, (judged.reason, judged.hint))))


def _case(suite: Element, judged: Judged, name: str, seconds: float) -> Element:
    return SubElement(
        suite,
        "testcase",
        name=_name(name),
        classname=f"agentflow.{_name(judged.name)}",
        time=f"{seconds:.3f}",
    )


def _name(text: str) -> str:
    return xml_text(one_line(text, 200)) or "-"
