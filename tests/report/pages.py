"""Reports to look at: of the sample run, of a hostile one, of one with many turns."""

from dataclasses import replace
from typing import Any, cast

from agentflow.details.diff import parse_patch
from agentflow.details.records import Call, Details, Point, Turn
from agentflow.details.timeline import read_timeline
from agentflow.history import Line
from agentflow.messages import Usage
from agentflow.pages.report import render_report
from agentflow.report import Summary
from agentflow.shown_reports import evidence_of, shown
from tests.sinks.sample import BEGAN, events, timed

PATCH = """diff --git a/notes/store.py b/notes/store.py
index 1111111..2222222 100644
--- a/notes/store.py
+++ b/notes/store.py
@@ -1,4 +1,6 @@ class Store:
 class Store:
-    limit = 1
+    def search(self, text: str) -> list[str]:
+        \"\"\"Find a text.\"\"\"
+        return [note for note in self.notes if text in note]
{}
     pass
diff --git a/logo.png b/logo.png
new file mode 100644
index 0000000..3333333
Binary files /dev/null and b/logo.png differ
""".replace("{}", " ")
EVIL = (
    "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
    "\"'><svg onload=alert(1)> {{ 7*7 }} \x1b]0;owned\x07\x1b[2J \u202e </template></pre>"
)


def sample(**changes: Any) -> Details:
    summary = Summary(lambda: BEGAN)
    for event in events():
        summary(event)
    report = shown({**summary.as_json(), "marker": ".orchestrator/complete/TASK-1.done"})
    lines = [Line(number, at, event) for number, (at, event) in enumerate(timed())]
    details = Details(
        report,
        evidence_of(report),
        read_timeline(lines),
        parse_patch(PATCH),
        "",
        (Point(1, "a" * 40), Point(2, "b" * 40)),
        "You are an agent.",
        "# Search notes",
        (("model", "claude-sonnet-5-5"), ("sandbox", "bubblewrap")),
        2.0,
    )
    return replace(details, **changes)


def failed() -> Details:
    details = sample()
    bad = replace(
        details.evidence[2],
        status="failed",
        summary="`pytest -q` ended with 1",
        detail="1 failed, 11 passed in 0.41s\n" * 12,
    )
    report = {
        **details.report,
        "outcome": "failed",
        "landed": None,
        "reason": "not verified after 2 repairs: build:test",
        "hint": "agentflow resume TASK-1",
    }
    return replace(details, report=report, evidence=(*details.evidence[:2], bad))


def hostile() -> Details:
    """The sample with an attack in the place of every text."""
    return _evil(sample())


def _evil(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        kept = {"status", "sign"}
        fields = {n: getattr(value, n) for n in value.__dataclass_fields__}
        new = {n: v if n in kept else _evil(v) for n, v in fields.items()}
        return value.__class__(**new)
    if isinstance(value, dict):
        return {name: _evil(each) for name, each in cast(dict[str, Any], value).items()}
    if isinstance(value, tuple):
        return tuple(map(_evil, cast(tuple[Any, ...], value)))
    if isinstance(value, list):
        return list(map(_evil, cast(list[Any], value)))
    return EVIL if isinstance(value, str) else value


def long(turns: int = 200) -> Details:
    text = "def test_something() -> None:\n    assert True\n" * 100
    calls = tuple(
        Call(name, f"src/module_{n}.py", '{\n  "command": "x"\n}', text, n == 2, 0.5)
        for n, name in enumerate(("Read", "Edit", "Bash"))
    )
    made = tuple(
        Turn(
            n,
            "2026-11-20T19:33:18+00:00",
            "m",
            f"Step {n} of the work. " * 5,
            calls,
            Usage(500 + n, 200, 1000 * n, 300),
            0.01 + n / 10_000,
        )
        for n in range(1, turns + 1)
    )
    lines = "".join(f"+value_{n} = {n}  # some code\n" for n in range(900))
    head = "diff --git a/f{0}.py b/f{0}.py\n--- a/f{0}.py\n+++ b/f{0}.py\n@@ -0,0 +1,900 @@\n"
    patch = "".join(head.format(n) + lines for n in range(8))
    return sample(timeline=made, files=parse_patch(patch))


ALL = {"sample": sample, "failed": failed, "hostile": hostile, "long": long}


def page(name: str) -> str:
    return render_report(ALL[name]())
