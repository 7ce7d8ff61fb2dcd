"""A run's verdict as an in-toto statement about the commit that was verified, signed or not.

A signed one is a DSSE envelope (payload type `application/vnd.in-toto+json`) whose signature is an
SSHSIG by OpenSSH over DSSE's pre-authentication encoding. An unsigned one is the statement alone.
docs/attestation.md says what each field means; `verdict-v1.schema.json` is its schema.
"""

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import cast

from agentflow.errors import UsageError
from agentflow.frozen import record
from agentflow.json_schema import problems
from agentflow.records import Json
from agentflow.ssh_signatures import sign, signer
from agentflow.strict_json import parse_object

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:agentflow:verdict:v1"
PAYLOAD = "application/vnd.in-toto+json"
NAMESPACE = "agentflow-verdict"
"""What a signature of ours is for; the same key may sign other things."""
MAX_FILE = 8 << 20
"""Bytes of an attestation that is read."""


@record
class Attested:
    """What an attestation says, and who says so."""

    statement: Json
    signer: str | None
    """Who signed it, by the list of allowed signers; None if it is not signed."""

    @property
    def commit(self) -> str:
        """The commit that it is about."""
        return str(self.statement["subject"][0]["digest"]["gitCommit"])

    @property
    def predicate(self) -> Json:
        """What it says of that."""
        return cast("Json", self.statement["predicate"])


def schema() -> Json:
    """The statement's JSON Schema."""
    return parse_object(files("agentflow").joinpath("verdict-v1.schema.json").read_bytes())


def digest_of(evidence: Json) -> str:
    """SHA-256, in hexadecimal, of one gate's evidence as a report holds it: as JSON in ASCII, keys
    sorted, without spaces."""
    text = json.dumps(evidence, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def statement_of(report: Json, tip: str) -> Json:
    """The statement on a run, from its report. Raises `UsageError` for a report that lacks a part."""
    try:
        gates: list[Json] = report["verification"]["gates"]
        predicate: Json = {
            "verifier": {"name": "agentflow", "version": report["versions"]["agentflow"]},
            "run": report["run"],
            "task": {"id": report["task"], "sha256": report["task_sha256"]},
            "base": {"gitCommit": report["base"]},
            "outcome": report["outcome"],
            "startedAt": report["started_at"],
            "model": report["model"],
            "prompt": report["prompt"],
            "sandbox": report["sandbox"],
            "gates": [
                {
                    "name": gate["gate"],
                    "status": gate["status"],
                    "evidence": {"sha256": digest_of(gate)},
                }
                for gate in gates
            ],
        }
    except (LookupError, TypeError) as error:
        raise UsageError("the run's report is not whole, so nothing can be attested") from error
    statement: Json = {
        "_type": STATEMENT,
        "subject": [{"name": f"refs/agentflow/{report['run']}", "digest": {"gitCommit": tip}}],
        "predicateType": PREDICATE,
        "predicate": predicate,
    }
    _check(statement, "the run's report")
    return statement


def attested(statement: Json, key: Path | None) -> str:
    """The attestation as text for a file: signed with a key of OpenSSH, if one is given.

    Raises `EnvironmentFailure` if it cannot be signed.
    """
    if key is None:
        return json.dumps(statement, indent=2) + "\n"
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    made = sign(_encoded(payload), key, NAMESPACE)
    envelope: Json = {
        "payloadType": PAYLOAD,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": made.fingerprint, "sig": base64.b64encode(made.data).decode()}],
    }
    return json.dumps(envelope, indent=2) + "\n"


def read_attestation(data: bytes, where: str, signers: Path | None) -> Attested:
    """What an attestation says. A signature is checked against a file of allowed signers (see
    ssh-keygen(1)); without one, what is signed is refused: nobody vouches for the key.

    Raises `UsageError` for what is no attestation, or whose signature does not hold.
    """
    if len(data) > MAX_FILE:
        raise UsageError(f"{where} is larger than {MAX_FILE} bytes")
    try:
        found = parse_object(data)
        if "payload" not in found:
            _check(found, where)
            return Attested(found, None)
        payload = base64.b64decode(found["payload"], validate=True)
        (given,) = found["signatures"]
        signature = base64.b64decode(given["sig"], validate=True)
        statement = parse_object(payload)
        known = found["payloadType"] == PAYLOAD
    except (LookupError, TypeError, ValueError) as error:
        raise UsageError(f"{where} is no attestation ({error})") from error
    if not known:
        raise UsageError(f"{where} holds another kind of payload than {PAYLOAD}")
    if signers is None:
        raise UsageError(
            f"{where} is signed, and nothing says whose signatures count",
            hint="Give --allowed-signers FILE: a line per signer, as ssh-keygen(1) describes.",
        )
    by = signer(_encoded(payload), signature, signers, NAMESPACE)
    if by is None:
        raise UsageError(
            f"the signature of {where} is by none of the signers in {signers}, or broken"
        )
    _check(statement, where)
    return Attested(statement, by)


def differences(attestation: Attested, report: Json) -> list[str]:
    """Where a run's report says something else than an attestation on it."""
    said = {gate["name"]: gate for gate in attestation.predicate["gates"]}
    found: list[str] = []
    for gate in report.get("verification", {}).get("gates", []):
        other = said.pop(gate.get("gate"), None)
        if other is None or other["evidence"]["sha256"] != digest_of(gate):
            found.append(f"the evidence of the gate {gate.get('gate')} is another one")
    found += [f"the report has no gate {name}" for name in said]
    for name in ("run", "outcome", "model", "prompt"):
        if report.get(name) != attestation.predicate[name]:
            found.append(f"its {name} is another one")
    return found


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding (protocol.md of secure-systems-lab/dsse, version 1)."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def _check(statement: Json, where: str) -> None:
    found = problems(statement, schema())
    if found:
        raise UsageError(f"{where} is no verdict of agentflow: {found[0]}")
