"""What is shown of a report that may hold anything, as a repository may have brought it: each field
there and of its type."""

from typing import Any, cast, get_args

from agentflow.records import Json, Limits, Status
from agentflow.results import Criterion, Evidence, Fault

_NUMBER_LIMIT = 1e15
_NUMBER = None
_FIELDS: Json = {
    **dict.fromkeys(("task", "run", "outcome", "title", "reason", "hint", "again", "base"), ""),
    **dict.fromkeys(("marker", "work_tree", "kept"), ""),
    "replay": False,
    "enough": dict.fromkeys(Limits.__annotations__, _NUMBER),
    "num_turns": 0,
    "duration_ms": _NUMBER,
    "total_cost_usd": _NUMBER,
    "usage": dict.fromkeys(
        (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        ),
        0,
    ),
    "task_total": {"runs": 0, "turns": 0, "cost_usd": _NUMBER},
    "landed": {"ref": "", "tip": "", "replaced": ""},
    "combined": {"base": "", "tip": ""},
    "commits": [{"sha": "", "subject": ""}],
    "needed_elsewhere": [""],
    "follow_ups": [""],
    "reply": {
        "services": [{"name": "", "folder": ""}],
        "files": {"created": [""], "modified": [""], "deleted": [""]},
        "endpoints": [{"method": "", "path": "", "request": "", "response": "", "declared": ""}],
        "differences": [""],
    },
    "changes": {
        **dict.fromkeys(("files_changed", "insertions", "deletions"), 0),
        "files": [{"path": "", "insertions": _NUMBER, "deletions": _NUMBER}],
    },
    "verification": {
        "repairs": 0,
        "gates": [
            {
                "gate": "",
                "status": "skipped",
                "summary": "",
                "detail": "",
                "seconds": 0,
                "notices": [""],
                "criteria": [{"text": "", "state": "", "by": ""}],
                "faults": [{"text": "", "path": "", "line": 0}],
            }
        ],
    },
}
"""The fields of a report that are shown, each with what stands for it if it is missing or of
another type; a list's only item is the pattern of all. `_NUMBER` is a number or None."""


def shown(report: Json) -> Json:
    """The fields of a report that are shown, each there and of its type, whatever was given.

    `landed`, `combined` and `reply` are None, or have all their fields.
    """
    fields: Json = _like(_FIELDS, report)
    absent = [
        name for name in ("landed", "combined", "reply") if not isinstance(report.get(name), dict)
    ]
    return {**fields, **dict.fromkeys(absent)}


def evidence_of(fields: Json) -> tuple[Evidence, ...]:
    """The evidence in a report's fields as `shown` gives them; what has no known status is skipped."""
    return tuple(map(_evidence, fields["verification"]["gates"]))


def _evidence(gate: Json) -> Evidence:
    fields: Json = {
        **gate,
        "status": gate["status"] if gate["status"] in get_args(Status) else "skipped",
        "notices": tuple(gate["notices"]),
        "criteria": tuple(Criterion(**each) for each in gate["criteria"]),
        "faults": tuple(Fault(**each) for each in gate["faults"]),
    }
    return Evidence(**fields)


def _like(pattern: Any, value: Any) -> Any:
    if isinstance(pattern, dict):
        given: Json = cast(Json, value) if isinstance(value, dict) else {}
        return {name: _like(each, given.get(name)) for name, each in cast(Json, pattern).items()}
    if isinstance(pattern, list):
        item = cast(list[Any], pattern)[0]
        return (
            [_like(item, each) for each in cast(list[Any], value)]
            if isinstance(value, list)
            else []
        )
    if isinstance(pattern, str):
        return value if isinstance(value, str) else pattern
    if isinstance(pattern, bool):
        return value is True
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 <= value < _NUMBER_LIMIT else pattern
