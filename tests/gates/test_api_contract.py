"""The API contract audit, on changes as git has them."""

import json
from dataclasses import replace

import pytest

from agentflow.ci.judged import Judged
from agentflow.ci.sarif import sarif
from agentflow.gates.api_contract import MAX_FILE, ApiContractAudit
from agentflow.results import Evidence, Fault
from tests.workspace.place import Work

CONTRACT = "POST /v1/mails { to: string, tags?: string[] } -> 201 { id: string, to: string }"
DTO = "export class CreateMailDto {{ @IsDefined() to: {}; tags?: string[] }}"


async def judged(work: Work, script: str, contract: str = CONTRACT) -> Evidence:
    audit = ApiContractAudit(contract, work.state)
    return await audit.compare(work.candidate(script), ())


async def test_a_difference_fails_and_names_file_line_and_field(work: Work) -> None:
    found = await judged(work, f"echo '\n{DTO.format('number')}' > app/mail.dto.ts")

    assert found.status == "failed"
    assert found.summary == "CreateMailDto (app/mail.dto.ts:2): to is number, expected string"
    assert found.detail.splitlines()[0] == f"{found.summary} (POST /v1/mails request)"
    assert found.faults == (Fault(found.detail.splitlines()[0], "app/mail.dto.ts", 2),)
    [result] = json.loads(sarif([Judged("TASK-1", "failed", 1, (found,))]))["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "app/mail.dto.ts"
    assert place["region"]["startLine"] == 2
    assert found.notices == (
        "not checked: POST /v1/mails response: nothing declared has its name or fields",
    )


async def test_agreement_passes_and_names_the_place(work: Work) -> None:
    found = await judged(work, f"echo '{DTO.format('string')}' > app/mail.dto.ts")

    assert (found.status, found.summary) == (
        "passed",
        "1 shape as expected: CreateMailDto (app/mail.dto.ts:1)",
    )


async def test_an_unchanged_file_that_a_changed_one_imports_is_read(work: Work) -> None:
    work.agent(f"echo '{DTO.format('number')}' > app/mail.dto.ts; git add -A; git commit -qm a")
    before = work.collect(commits="agent")
    work.agent("echo 'import {A} from \"./mail.dto\"' > app/mail.ts; git add -A; git commit -qm b")
    after = work.collect(commits="agent")
    audit = ApiContractAudit(CONTRACT, work.state)

    whole = await audit.compare(after, ())
    later = await audit.compare(replace(after, base=before.tip), ())

    assert whole.status == later.status == "failed"
    assert later.summary == "CreateMailDto (app/mail.dto.ts:1): to is number, expected string"


@pytest.mark.parametrize(
    ("script", "contract", "reason"),
    [
        ("echo 'struct Mail { to: u8 }' > app/mail.rs", CONTRACT, "the change declares no OpenAPI"),
        (f"echo '{DTO}' > app/mail.test.ts", CONTRACT, "the change declares no OpenAPI"),
        ("echo 'class ADto { a: string } class BDto { b: string }' > app/a.ts", CONTRACT,
         "nothing declared has the name or fields"),
        ("echo x > app/a.py", "align @acme/types", "the contract describes no shape"),
        ("echo 'openapi: [' > app/a.yaml", CONTRACT, "the change declares no OpenAPI"),
        (f"ln -s nowhere app/a.ts; head -c {MAX_FILE + 1} /dev/zero > app/b.ts", CONTRACT,
         "the change declares no OpenAPI"),
    ],
)  # fmt: skip
async def test_what_cannot_be_compared_is_skipped_with_the_reason(
    work: Work, script: str, contract: str, reason: str
) -> None:
    found = await judged(work, script, contract)

    assert found.status == "skipped"
    assert found.summary.startswith(f"not checked: {reason}")
