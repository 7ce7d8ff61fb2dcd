"""The judges of a run: its gates, and the audits that compare claims with them."""

from collections.abc import Mapping

from agentflow.dependencies import Difference
from agentflow.gates.api_contract import ApiContractAudit
from agentflow.gates.boundaries import BoundariesGate
from agentflow.gates.build import BuildGate
from agentflow.gates.checklist import ChecklistAudit, checklist
from agentflow.gates.commit import CommitGate
from agentflow.gates.contract import ContractAudit, asks_for_an_answer
from agentflow.gates.file_list import FileListAudit, asks_for_files
from agentflow.gates.files import FilesGate
from agentflow.gates.nx import ProjectsGate, affected, builds, dependents
from agentflow.gates.promises import PromisesAudit
from agentflow.gates.secrets import SecretsGate
from agentflow.gates.sections import SectionsAudit
from agentflow.gates.setup import SetupGate
from agentflow.gates.tamper import TamperGate
from agentflow.interfaces import Audit, Gate
from agentflow.plan import Plan
from agentflow.redaction import Redact
from agentflow.results import Candidate, Evidence
from agentflow.workbench import Workbench
from agentflow.workspace.git import Git


def gates_of(
    plan: Plan,
    bench: Workbench,
    redact: Redact,
    on_base: Mapping[str, Evidence],
    candidate: Candidate,
) -> tuple[Gate, ...]:
    """All gates, the cheap and decisive ones first. `on_base` is what pre-flight found."""
    found = affected(bench.state, candidate) if plan.by_project else None
    commands = plan.gates
    if found:
        around = plan.base_paths, plan.environment
        commands = (*builds(found.names, *around), *dependents(found.touched, *around))
    return (
        CommitGate(plan.task.expect, plan.prompt.profile.commits),
        BoundariesGate(plan.boundaries),
        FilesGate(
            bench.state,
            plan.task.files,
            plan.task.deleted,
            touched=bool(plan.task.tracking_id),
            areas=plan.task.areas,
            unplaced=plan.task.unplaced,
        ),
        TamperGate(bench.state, plan.boundaries),
        SecretsGate(bench.state, plan.settings.secrets.allow, plan.environment.secrets),
        *([ProjectsGate(found)] if found else []),
        *([SetupGate(bench.installation.judge)] if bench.installation else []),
        *(
            BuildGate(
                command,
                bench.checkout,
                bench.state,
                plan.boundaries,
                redact,
                on_base.get(command.name),
            )
            for command in commands
        ),
    )


def audits_of(plan: Plan, state: Git, packages: Difference) -> tuple[Audit, ...]:
    """The audits of what task and prompt ask for. `packages` is what the change really did."""
    audits: list[Audit] = []
    boxes = plan.settings.checklist
    if asks_for_an_answer(plan.prompt.profile):
        added = [package.name for package in packages.added]
        audits.append(ContractAudit(plan.prompt.profile, added))
    if plan.task.contract:
        audits.append(ApiContractAudit(plan.task.contract, state))
    if plan.prompt.profile.sections:
        audits.append(SectionsAudit(plan.prompt.profile.sections))
    if checklist(plan.task.text, plan.prompt.body):
        audits.append(
            ChecklistAudit(plan.task.text, plan.prompt.body, state, boxes.gates, boxes.strict)
        )
    if plan.prompt.profile.completion == "message" and asks_for_files(plan.prompt.body):
        audits.append(FileListAudit())
    if plan.promises:
        audits.append(PromisesAudit(plan.promises))
    return tuple(audits)
