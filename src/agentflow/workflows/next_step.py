"""The next step: what was delivered, where the work stands, and the command that goes on."""

from collections.abc import Sequence

from agentflow.records import Json
from agentflow.tasks.document import Batch, Document
from agentflow.tasks.next_batch import is_for, next_batch
from agentflow.tasks.statuses import PASSED_OVER
from agentflow.words import counted, word


def next_step(document: Document, batch: Batch, sha: str, files: Sequence[str]) -> Json:
    """The block of the workflow as data. `document` is the one after the batch was completed.

    `files` are the paths that the batch's commit changed.
    """
    backend = [each for each in document.batches if is_for(each)]
    others = [each for each in document.batches if not is_for(each)]
    aside = [each for each in document.batches if not each.over and each.status in PASSED_OVER]
    # What is BLOCKED is to come; what was DEFERRED holds up nobody.
    waiting = [each for each in backend if not each.over and each.status != "DEFERRED"]
    frontend = [each for each in others if not each.over and each.status != "DEFERRED"]
    still = waiting or frontend or aside
    kind = "completion" if not still else "backend" if is_for(still[0]) else "frontend"
    task = document.task_id
    found = next_batch(document)
    ours = None if found.state == "blocked" else found.batch
    following = ours if waiting else (frontend or [None])[0]
    return {
        "batch": {"id": batch.id, "name": batch.name, "tasks": len(batch.tasks), "commit": sha},
        "deliverables": _deliverables(batch, files),
        "kind": kind,
        "progress": {
            "backend_done": sum(each.finished for each in backend),
            "backend_total": len(backend),
            "backend_tasks": sum(len(each.tasks) for each in backend if each.finished),
            "frontend_pending": len(frontend),
            "frontend_tasks": sum(len(each.tasks) for each in frontend),
            "set_aside": [{"id": each.id, "status": each.status} for each in aside],
        },
        "next": following
        and {"id": following.id, "name": following.name, "tasks": len(following.tasks)},
        "commits": _commits(document, sha),
        "expect": _EXPECT[kind],
        "command": f"{_WORKFLOW[kind]} {task}",
        "agentflow": f"agentflow phase-6 {word(task)}" if kind == "backend" and following else None,
    }


def _commits(document: Document, sha: str) -> list[str]:
    """Those that the document names for finished batches, and this one if it has no place for it."""
    named = [name for each in document.batches if each.finished for name in each.commits]
    return named if any(sha.startswith(name) for name in named) else [*named, sha]


_WORKFLOW = {
    "backend": "/phase-6-backend-execution",
    "frontend": "/phase-6-frontend-execution",
    "completion": "/phase-7-completion",
}
"""Commands of the workflow that these documents come from."""
_EXPECT = {
    "backend": {
        "agent": "team-leader MODE 2 + backend-developer",
        "deliverable": "the next batch's implementation",
        "duration": "1-3 hours",
    },
    "frontend": {
        "agent": "team-leader MODE 2 + frontend-developer",
        "deliverable": "frontend batch implementations",
        "duration": "1-3 hours per batch",
    },
    "completion": {
        "agent": "team-leader MODE 3",
        "deliverable": "the final verification report",
        "duration": "15-30 minutes",
    },
}


def _deliverables(batch: Batch, files: Sequence[str]) -> list[Json]:
    """Each changed file with the task that names it."""
    named = {file.path: task.name for task in batch.tasks for file in task.files if file.path}
    return [{"path": path, "description": named.get(path, "")} for path in files]


def as_text(step: Json) -> str:
    """The block as people read it."""
    batch, progress = step["batch"], step["progress"]
    lines = [
        f"Batch {batch['id']} complete: {batch['name']}",
        "",
        "Deliverables created:",
        *(
            f"- {each['path']}" + (f" - {each['description']}" if each["description"] else "")
            for each in step["deliverables"]
        ),
        f"- Git commit: {batch['commit']}",
        "",
        "Quality verification: all gates passed",
        "",
        f"Next: {step['command']}",
        *([f"      {step['agentflow']}"] if step["agentflow"] else []),
        "",
        "Context summary:",
        *_summary(step, progress),
        *(f"- Set aside: batch {each['id']} is {each['status']}" for each in progress["set_aside"]),
        "",
        "What to expect:",
        *(f"- {key.capitalize()}: {value}" for key, value in step["expect"].items()),
    ]
    return "\n".join(lines) + "\n"


def _summary(step: Json, progress: Json) -> list[str]:
    following, batch = step["next"], step["batch"]
    done, backend = progress["backend_done"], counted(progress["backend_done"], "backend batch")
    tasks = counted(progress["backend_tasks"], "task")
    match step["kind"]:
        case "backend":
            return [
                f"- Completed: batch {batch['id']} ({counted(batch['tasks'], 'task')})",
                f"- Next: batch {following['id']} ({counted(following['tasks'], 'task')})"
                if following
                else "- Next: none that could be done now",
                f"- Progress: {done}/{counted(progress['backend_total'], 'backend batch')}",
            ]
        case "frontend":
            return [
                f"- Backend complete: {counted(done, 'batch')}, {tasks}",
                f"- Frontend pending: {counted(progress['frontend_pending'], 'batch')}, "
                + counted(progress["frontend_tasks"], "task"),
            ]
        case _:
            return [
                f"- All batches complete: {backend}, {tasks}",
                f"- All commits verified: {', '.join(step['commits'])}",
            ]
