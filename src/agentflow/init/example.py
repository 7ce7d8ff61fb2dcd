"""The example task: where its agent may work, and what it is asked for."""

import json
import re
from collections import Counter

from agentflow.init.files import Files
from agentflow.init.proposal import Proposal

EXAMPLE = "EXAMPLE-001"
MAX_SOURCES = 3
CODE = re.compile(
    r".*\.(?:py|pyi|[cm]?[jt]sx?|vue|svelte|go|rs|java|kt|rb|php|cs|scala|c|cc|cpp|h|hpp|sh|ex|exs)"
)
TESTS = frozenset({"test", "tests", "spec", "__tests__"})
_ORDINARY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_SKIPPED = frozenset({
    "node_modules",
    "vendor",
    "third_party",
    "docs",
    "doc",
    "examples",
    "scripts",
})


def sources(files: Files) -> tuple[str, ...]:
    """The folders at the root that hold most code, and the tests' folder."""
    counted = Counter(
        path.split("/", 1)[0] for path in files if "/" in path and CODE.fullmatch(path)
    )
    usable = [
        name
        for name, _ in counted.most_common()
        if _ORDINARY.fullmatch(name) and name not in _SKIPPED
    ]
    code = [name for name in usable if name not in TESTS][:MAX_SOURCES]
    return (*code, *(name for name in usable if name in TESTS))


def render_example(proposal: Proposal) -> str:
    """The example's Markdown: a task that fits any repository with code."""
    folders = ", ".join(json.dumps(f"{folder}/**") for folder in proposal.sources)
    allow = (
        f"allow: [{folders}]  # everything else is read-only for the agent\n"
        if folders
        else "# allow: [src/**, tests/**]  # without it, nearly everything may be changed\n"
    )
    gates = ", ".join(gate.name for gate in proposal.live if not gate.ci) or "none yet"
    return f"""---
title: Test a case that no test covers
prompt: agent
{allow}max_cost: 2  # US dollars
---

# Test a case that no test covers

Find one function whose edge cases (empty input, limits, errors) no test covers, and add tests for
them in the style of the tests beside them. If a test shows a defect, mend it.

The gates in `.orchestrator/config.toml` must pass: {gates}.

## Acceptance criteria

- [ ] At least two new test cases, each of which fails if the code is wrong.
- [ ] No existing test was changed.
"""
