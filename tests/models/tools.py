"""A toolkit that runs nothing and counts what it would have run."""

from agentflow.messages import ToolCall, ToolResult
from agentflow.records import Json


class Tools:
    """Counts calls that could be run; each has the same result."""

    def __init__(self, result: str = "written", *schemas: Json) -> None:
        self.ran: list[ToolCall] = []
        self.result = result
        write = {"name": "Write", "description": "", "input_schema": {"type": "object"}}
        self.schemas: list[Json] = list(schemas) or [write]

    def is_read_only(self, call: ToolCall) -> bool:
        return False

    def target(self, call: ToolCall) -> str:
        return call.name

    async def run(self, call: ToolCall) -> ToolResult:
        if call.arguments is None:
            return ToolResult(call.id, call.problem, is_error=True)
        self.ran.append(call)
        return ToolResult(call.id, self.result)

    async def keep(self, name: str, text: str) -> str:
        return ""


class Unkept:
    """Keeps nothing of what an agent does."""

    def begin(self, *, changed: bool) -> None:
        pass

    async def settled(self) -> None:
        pass
