"""Replies to handoffs: what whoever handed work over can consume, as it was measured.

Files are those that git says changed; endpoints are those that the block asks for, and those that
a changed API document declares; shapes are what the change declares for them. What the agent says
otherwise is named, and never taken over.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from agentflow.gates.api_contract import MAX_EXPECTED, shapes_of_change
from agentflow.gates.claims import changed_paths
from agentflow.gates.file_list import file_differences
from agentflow.gates.shapes.api_document import Operation, api_document, named_twice
from agentflow.gates.shapes.expected import expected_shapes
from agentflow.gates.shapes.matching import Matcher, same_path
from agentflow.gates.shapes.resolving import Resolver
from agentflow.gates.shapes.shape import Shape
from agentflow.gates.shapes.type_text import type_text
from agentflow.neutral import one_line
from agentflow.records import Handed, Json, Task
from agentflow.results import Candidate
from agentflow.shown_reports import shown
from agentflow.tasks.handoff import endpoints_in
from agentflow.workspace.git import Git

MAX_OPERATIONS = 100
MAX_DIFFERENCES = 50


def measure_reply(task: Task, candidate: Candidate, state: Git) -> Json:
    """What a verified candidate gives to whoever handed its task over.

    `services` (name, folder), `files` (created, modified, deleted), `endpoints` (method, path,
    request, response: types as TypeScript writes them, empty where none was found; declared: the
    place in an API document), `contract` (an OpenAPI document) and `differences`.
    """
    handed = task.handed or Handed()
    declared = shapes_of_change(state, candidate)
    changed = changed_paths(candidate)
    operations = _operations(task, handed, declared, frozenset(changed))
    differences = (
        *file_differences(candidate),
        *_claimed(candidate.answer, operations),
        *named_twice(operations, declared),
        *_unfound(operations),
    )
    return {
        "services": [{"name": name, "folder": folder} for name, folder in handed.services],
        "files": {
            done: [path for path, what in changed.items() if what == done]
            for done in ("created", "modified", "deleted")
        },
        "endpoints": [_endpoint(each, declared) for each in operations],
        "contract": api_document(task.title, candidate.tip, operations, declared),
        "differences": [one_line(each, 400) for each in differences[:MAX_DIFFERENCES]],
    }


def _operations(
    task: Task, handed: Handed, declared: Sequence[Shape], changed: frozenset[str]
) -> list[Operation]:
    """The endpoints that the block asks for, then the others that changed documents declare."""
    found = {each: Operation(*each) for each in handed.endpoints}
    matcher = Matcher(declared)
    for expected in expected_shapes(task.contract)[:MAX_EXPECTED]:
        method, _, path = expected.endpoint.partition(" ")
        if not path or not expected.direction:
            continue
        operation = found.get((method, path), Operation(method, path))
        for match in matcher.matches(expected):
            operation = _with(operation, match.declared, expected.direction)
        found[method, path] = operation
    for shape in declared:
        method, _, path = shape.endpoint.partition(" ")
        asked = any(m == method and same_path(path, p) for m, p in handed.endpoints)
        if path and shape.path in changed and not asked:
            before = found.get((method, path), Operation(method, path))
            found[method, path] = _with(before, shape, shape.direction)
    return list(found.values())[:MAX_OPERATIONS]


def _with(operation: Operation, shape: Shape, direction: str) -> Operation:
    """The operation with one more body. What stands in code is nearer to it than a document."""
    place = f"{shape.path}:{shape.line}" if shape.endpoint else ""
    known = operation.request if direction == "request" else operation.response
    kept = known if known and shape.endpoint else shape
    bodies = {"request": kept} if direction == "request" else {"response": kept}
    return replace(operation, declared=operation.declared or place, **bodies)


def _endpoint(operation: Operation, declared: Sequence[Shape]) -> Json:
    return {
        "method": operation.method,
        "path": operation.path,
        "request": _text(operation.request, declared),
        "response": _text(operation.response, declared),
        "declared": operation.declared,
    }


def _text(shape: Shape | None, declared: Sequence[Shape]) -> str:
    if shape is None:
        return ""
    nearest = sorted(declared, key=lambda each: each.path != shape.path)
    return type_text(shape.schema, Resolver(nearest))


def _claimed(answer: str, operations: Sequence[Operation]) -> Iterator[str]:
    """Endpoints that the report names and nothing shows, and those that it leaves out."""
    named = [(each.method, each.path) for each in endpoints_in(answer.splitlines())]
    for method, path in named:
        if not any(method == each.method and same_path(path, each.path) for each in operations):
            yield f"the report names {method} {path}, which neither the block nor a document names"
    for each in operations if named else ():
        if not any(method == each.method and same_path(path, each.path) for method, path in named):
            yield f"the report does not name {each.method} {each.path}"


def _unfound(operations: Sequence[Operation]) -> Iterator[str]:
    for each in operations:
        if each.request is None and each.response is None:
            yield f"no declared shape was found for {each.method} {each.path}"


def reply_block(report: Json) -> str:
    """The block that is given back: in the form of the one that came in, on what was measured.

    `report` is one of a run that verified a handoff's work; its words are made harmless here.
    """
    fields = shown(report)
    reply, commits = fields["reply"], fields["commits"]
    sha = commits[-1]["sha"][:12] if commits else "no commit"
    landed = str(fields["landed"]["ref"] if fields["landed"] else "").removeprefix("refs/heads/")
    where = f", commit {sha}" + (f" on {landed}" if landed else "")
    lines = [
        "--- FRONTEND TASK HANDOFF (copy below) ---",
        _field(
            "Trigger", f"{fields['title']} is implemented and verified ({fields['task']}{where})"
        ),
        "- **Expected frontend work**:",
        *(_listed(f"use `{each['method']} {each['path']}`" for each in reply["endpoints"])),
        "- **Backend context**:",
        *(_listed(f"{done}: `{p}`" for done, paths in reply["files"].items() for p in paths)),
        _field("Service(s)", ", ".join(_service(each) for each in reply["services"]) or "-"),
        "- **Contract requirements**:",
        "",
        "  ```text",
        *(f"  {one_line(_contract(each), 8_000)}" for each in reply["endpoints"]),
        "  ```",
        "",
        "- **Not measured, or said otherwise by the agent**:",
        *_listed(reply["differences"]),
        "--- END HANDOFF ---",
    ]
    return "\n".join(lines) + "\n"


def _field(label: str, value: str) -> str:
    return f"- **{label}**: {one_line(value, 500)}"


def _listed(items: Iterator[str] | Sequence[str]) -> list[str]:
    return [f"  - {one_line(each, 500)}" for each in items] or ["  - nothing"]


def _service(each: Json) -> str:
    return f"{each['name']} (`{each['folder'] or '.'}`)"


def _contract(each: Json) -> str:
    request = f" {each['request']}" if each["request"] else ""
    response = f" -> {each['response']}" if each["response"] else ""
    return f"{each['method']} {each['path']}{request}{response}"
