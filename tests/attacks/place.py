"""The target of the attacks: a user's repository with canaries around it, and the real product.

Nothing here is a stand-in: plans come from `make_plan`, sandboxes from `Workbench`, calls go
through `Toolkit`, runs through `run_task`.
"""

import json
import os
import subprocess
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentflow.environment import Environment
from agentflow.errors import EnvironmentFailure
from agentflow.messages import ToolCall, ToolResult
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.records import WORKSPACE, Json
from agentflow.results import Candidate
from agentflow.sandbox.channel import Channel
from agentflow.settings import user_file
from agentflow.tools import Toolkit
from agentflow.workbench import Workbench
from tests.run.project import GATE, make_project
from tests.workspace.place import AUTHORSHIP

ALLOW = ("apps/api/**", "src/*.py", "packages/database/src/schema/")
DENY = ("apps/api/vendor/**",)
BOUNDARIES = f"allow: {json.dumps(ALLOW)}\ndeny: {json.dumps(DENY)}"
"""The header of the task: a folder, a glob of files, a folder that may be absent, a denial."""

TASK = Order("TASK-1", fresh=True)

CANARY = "CANARY"
"""Stands in every file and variable of this machine that an agent must not see."""


class Place:
    """One user's machine. Cases share its repository, and most of them one sandbox."""

    def __init__(self, backend: str, folder: Path) -> None:
        self.backend = backend
        self.folder = folder
        self.outside = folder / "outside"
        """A folder beside the repository, with one file `c`."""
        self.project = make_project(folder)
        self.home = folder / "home"
        self._numbers = iter(range(1, 1 << 30))
        self._stack = AsyncExitStack()
        self._sandbox: Channel | None = None
        self._bench: Workbench | None = None
        self._plant()

    def _plant(self) -> None:
        project = self.project
        for name in ("apps/api", "apps/api/vendor", "apps/web", "src", "packages/database/src"):
            project.write(f"{name}/f.py", "x=1\n")
        project.write("tests/test_f.py", "from f import x\n\n\ndef test_f():\n    assert x == 2\n")
        project.write("pyproject.toml", "[tool.gate]\n")
        project.write("tasks.md", "- [ ] T1\n")
        project.task(BOUNDARIES)
        project.write(
            ".gitignore",
            ".env\n.orchestrator/runs/\n.orchestrator/complete/\n.orchestrator/reports/\n",
        )
        project.commit("feat: what is attacked")
        for path in self._canaries:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{CANARY} {path.name}\n")
        project.git("config", "user.canary", f"{CANARY}-configuration")
        os.environ["CANARY_TOKEN"] = f"{CANARY}-token"
        self.add_environment(CANARY_TOKEN=f"{CANARY}-token")

    @property
    def _canaries(self) -> tuple[Path, ...]:
        return (
            self.outside / "c",
            *(self.home / p for p in (".ssh/id_rsa", ".aws/credentials", ".netrc", ".env")),
            self.home / ".config/gh/hosts.yml",
            self.project.root / ".env",
            self.project.root / ".orchestrator/runs/TASK-0/journal.jsonl",
            self.project.world.cache / "state.db",
        )

    authorship = AUTHORSHIP

    def shell(self, script: str) -> str:
        """Run a script in the user's repository; what it prints."""
        command = ["bash", "-euc", script]
        return subprocess.run(
            command, cwd=self.project.root, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def add_environment(self, **variables: str) -> None:
        """Set variables of the user."""
        environment = {**self.project.world.environment, **variables}
        self.project.world = replace(self.project.world, environment=environment)

    def user_settings(self, text: str) -> None:
        """Write the user's own configuration."""
        file = user_file(self.project.world.environment)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def path(self, template: str) -> str:
        """A path of this machine, from one with `{outside}`, `{home}`, `{cache}` or `{root}`."""
        return template.format(
            outside=self.outside,
            home=self.home,
            cache=self.project.world.cache,
            root=self.project.root,
        )

    def check_intact(self) -> None:
        """Assert that nothing of this machine was changed or added, the repository included."""
        for path in self._canaries:
            assert path.read_text() == f"{CANARY} {path.name}\n", f"{path} was changed"
        assert [path.name for path in self.outside.iterdir()] == ["c"]
        assert self.project.git("status", "--porcelain") == ""

    async def sandbox(self) -> Channel:
        """The agent's sandbox that cases share: of a real run's policy. A dead one is replaced."""
        if self._sandbox is not None:
            try:
                await self._sandbox.state()
            except EnvironmentFailure:
                with suppress(EnvironmentFailure):
                    await self.close()
        if self._sandbox is None:
            bench = await self.bench()
            self._bench = bench
            self._sandbox = await self._stack.enter_async_context(bench.agent_sandbox())
        return self._sandbox

    @property
    def refused(self) -> str:
        """What the kernel says to a write that it refuses."""
        return {"bubblewrap": "Read-only file system"}.get(self.backend, "Permission denied")

    @property
    def hidden(self) -> str:
        """What the kernel says of a path of this machine that an agent must not see."""
        return {"bubblewrap": "No such file or directory"}.get(self.backend, "Permission denied")

    @property
    def home_files(self) -> str:
        """What `ls -A ~` prints at the beginning."""
        return {"bubblewrap": ""}.get(self.backend, ".gitconfig\n")

    async def inside(self) -> str:
        """The shared sandbox's work tree, as it is named inside."""
        return {"bubblewrap": WORKSPACE}.get(self.backend, str(await self.tree()))

    async def tree(self) -> Path:
        """The shared sandbox's work tree, on this machine."""
        await self.sandbox()
        assert self._bench
        return self._bench.tree

    async def tool(self, name: str, **arguments: Any) -> ToolResult:
        """Call a tool in the shared sandbox, as a model does."""
        return await Toolkit(await self.sandbox()).run(ToolCall("1", name, arguments))

    async def text(self, name: str, **arguments: Any) -> str:
        """What the model reads after a call, as JSON if it is not text."""
        content = (await self.tool(name, **arguments)).content
        return content if isinstance(content, str) else json.dumps(content)

    async def bash(self, command: str, seconds: float = 20) -> Json:
        """Run a command in the shared sandbox; the toolbox's raw result."""
        return await bash(await self.sandbox(), command, seconds)

    async def output(self, command: str, seconds: float = 20) -> str:
        """What a command prints in the shared sandbox, errors included."""
        return str((await self.bash(command, seconds))["output"])

    async def plan(self, prompt_text: str | None = None, **flags: Any) -> Plan:
        """The plan of a run; `flags` are settings, `prompt_text` another prompt. Raises what a run
        would raise."""
        if prompt_text is not None:
            flags["prompt"] = str(self.folder / "prompt.md")
            (self.folder / "prompt.md").write_text(prompt_text)
        given = {name: flag for name, flag in {**self._flags, **flags}.items() if flag is not None}
        return await make_plan(Order("TASK-1", fresh=True, flags=given), self.project.world)

    async def bench(self, environment: Environment | None = None, **flags: Any) -> Workbench:
        """A workbench of its own, prepared; `flags` are settings. Raises what a run would raise."""
        plan = await self.plan(**flags)
        folder = self.project.world.cache / "benches" / str(next(self._numbers))
        bench = Workbench(plan, self.project.world, folder, environment or plan.environment)
        await bench.prepare()
        return bench

    async def imported(self, command: str, **flags: Any) -> Candidate:
        """What the import makes of an agent that runs one command in a clone of its own."""
        bench = await self.bench(**flags)
        async with bench.agent_sandbox() as sandbox:
            result = await bash(sandbox, command, 60)
        assert result["exit_code"] == 0, result["output"]
        return await bench.collect(AUTHORSHIP)

    async def run(self, turns: Sequence[Json], order: Order = TASK, **flags: Any) -> Json:
        """A whole run with a scripted model; its report."""
        given = {name: value for name, value in self._flags.items() if name != "base_url"}
        return await self.project.run(turns, order=order, **{**given, **flags})

    @asynccontextmanager
    async def another(self, name: str) -> AsyncGenerator["Place"]:
        """A machine of its own, for what changes the repository."""
        place = Place(self.backend, self.folder / f"{name}-{next(self._numbers)}")
        try:
            yield place
        finally:
            await place.close()

    async def close(self) -> None:
        """End the shared sandbox."""
        self._sandbox = None
        await self._stack.aclose()

    @property
    def _flags(self) -> dict[str, Any]:
        return {
            "sandbox": self.backend,
            "gates": [{**GATE, "command": "test -s apps/api/hello.txt"}],
            "prompt": "plain",
            "base_url": "http://127.0.0.1:1",
        }


async def bash(sandbox: Channel, command: str, seconds: float = 20) -> Json:
    """Run a command in a sandbox; the toolbox's raw result."""
    return await sandbox.call("Bash", {"command": command, "timeout": seconds})
