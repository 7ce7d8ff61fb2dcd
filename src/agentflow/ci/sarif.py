"""SARIF 2.1.0: what gates found wrong in files, at its lines.

Violations of boundaries, weakened measures, secrets, shapes that differ from a contract. What is not
a file's is a notification of the invocation: code scanning refuses results without a place.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from agentflow import __version__
from agentflow.ci.judged import Judged
from agentflow.neutral import neutral, one_line
from agentflow.records import Json
from agentflow.results import Evidence, Fault

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
RULES = {
    "boundaries": "A commit changes what the task may not change.",
    "tamper": "The measure was changed instead of the code.",
    "secrets": "A commit adds what only its owner may read.",
    "api-contract": "A shape differs from the contract that was handed over.",
}


def sarif(judged: Sequence[Judged]) -> str:
    """The log, as JSON: one run of the tool agentflow for all tasks."""
    failed = [(each, evidence) for each in judged for evidence in _failed(each)]
    names = list(dict.fromkeys(evidence.gate for _, evidence in failed))
    tool: Json = {
        "name": "agentflow",
        "version": __version__,
        "rules": [_rule(name) for name in names],
    }
    run: Json = {
        "tool": {"driver": tool},
        "automationDetails": {"id": "agentflow/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(each) for each in judged],
        "results": [
            _result(each, evidence, fault, names.index(evidence.gate))
            for each, evidence in failed
            for fault in evidence.faults
            if fault.path
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _failed(judged: Judged) -> Iterator[Evidence]:
    return (evidence for evidence in judged.evidence if evidence.status == "failed")


def _rule(gate: str) -> Json:
    text = RULES.get(gate, "A gate failed.")
    return {"id": one_line(gate), "shortDescription": {"text": text}}


def _result(judged: Judged, evidence: Evidence, fault: Fault, rule: int) -> Json:
    path = quote(fault.path.encode("utf-8", "surrogatepass"))
    key = "\0".join((evidence.gate, path, fault.text))
    return {
        "ruleId": one_line(evidence.gate),
        "ruleIndex": rule,
        "level": "error",
        "message": {"text": neutral(fault.text) or evidence.gate},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": path, "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": max(1, round(fault.line))},
                }
            }
        ],
        "partialFingerprints": {
            "agentflowFault/v1": hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
        },
        "properties": {"task": neutral(judged.name), "run": neutral(judged.run)},
    }


def _invocation(judged: Judged) -> Json:
    told = [
        f"{evidence.gate}: {evidence.summary}\n{evidence.detail}".strip()
        for evidence in _failed(judged)
        if not any(fault.path for fault in evidence.faults)
    ]
    if not judged.passed:
        told.insert(0, " ".join(filter(None, (f"{judged.outcome}:", judged.reason, judged.hint))))
    return {
        "executionSuccessful": judged.passed,
        **({} if judged.skipped else {"exitCode": judged.exit_code}),
        "toolExecutionNotifications": [
            {
                "level": "note" if judged.skipped else "error",
                "message": {"text": neutral(text)[:20_000]},
                "properties": {"task": neutral(judged.name), "run": neutral(judged.run)},
            }
            for text in told
        ],
    }
