"""Any path of any tool call, in a real sandbox: no crash, nothing read or written outside."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.messages import ToolCall
from agentflow.sandbox import open_sandbox
from agentflow.sandbox.policy import Policy
from agentflow.tools import Toolkit
from tests.fuzz.trees import everything

CANARY = "CANARY of this machine"
LINKS = (
    "for t in / .. ../.. ../web {outside} /proc/self/root /proc/1/root loop; do "
    'n=$((n + 1)); ln -s "$t" apps/api/l$n; done; ln -s loop apps/api/loop; mkfifo apps/api/fifo'
)
PIECES = st.sampled_from([
    *("apps", "api", "web", "f", "new", "..", ".", "", ".git", "fifo", "loop", "\0", "\ud800"),
    *(f"l{n}" for n in range(1, 9)), "é", "\u202e", "a" * 300, "*", "-n", "~", "c", "proc", "self",
    *("root", "cwd", "fd", "0", "1", "environ", "dev", "zero", "tmp"),
])  # fmt: skip
STARTS = (
    "",
    "/",
    "//",
    "apps/api/",
    "/workspace/",
    "../",
    "{outside}/",
    "/proc/self/root{outside}/",
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    path = draw(st.sampled_from(STARTS)) + "/".join(draw(st.lists(PIECES, max_size=5)))
    tool = draw(st.sampled_from(["Read", "Write", "Edit", "Glob", "Grep"]))
    match tool:
        case "Read":
            return tool, {"file_path": path}
        case "Write":
            return tool, {"file_path": path, "content": "written"}
        case "Edit":
            return tool, {"file_path": path, "old_string": "original", "new_string": "written"}
        case "Glob":
            return tool, {
                "pattern": draw(st.sampled_from(["*", "../*", "*/c", path])),
                "path": path,
            }
        case _:
            # Never from / as a whole: that is slow, and PT-27 does it.
            return tool, {
                "pattern": "CANARY|root:x",
                "path": f"apps/api/{path}",
                "output_mode": "content",
            }


@pytest.mark.sandbox
def test_no_path_leads_out(bwrap: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for folder in (outside, tmp_path / "tree/apps/api", tmp_path / "tree/apps/web"):
        folder.mkdir(parents=True)
        (folder / "f").write_text("original\n")
    (outside / "c").write_text(CANARY)
    (tmp_path / "tree/.git").write_text("gitdir: /nowhere\n")
    kept = (outside, tmp_path / "tree/apps/web")
    before = [[*everything(folder)] for folder in kept]
    policy = Policy(tmp_path / "tree", writable=("apps/api",), completion=None)

    with asyncio.Runner() as runner:
        opened = open_sandbox("bubblewrap", policy)
        sandbox = runner.run(opened.__aenter__())
        try:
            runner.run(sandbox.call("Bash", {"command": LINKS.format(outside=outside)}))
            toolkit = Toolkit(sandbox)

            @given(calls())
            def trial(call: tuple[str, dict[str, object]]) -> None:
                tool, arguments = call
                given = {
                    name: value.replace("{outside}", str(outside))
                    if isinstance(value, str)
                    else value
                    for name, value in arguments.items()
                }
                result = runner.run(toolkit.run(ToolCall("1", tool, given)))
                assert CANARY not in str(result.content)
                assert [[*everything(folder)] for folder in kept] == before

            trial()
            assert (
                runner.run(sandbox.call("Bash", {"command": "cat .git"}))["output"]
                == "gitdir: /nowhere\n"
            )
            assert sorted(each.name for each in tmp_path.iterdir()) == ["outside", "tree"]
        finally:
            runner.run(opened.__aexit__(None, None, None))
