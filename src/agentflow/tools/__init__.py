"""The six tools as the model sees them, and the kit that runs its calls."""

import difflib
from collections.abc import Callable, Iterable

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agentflow.command_scopes import refusal
from agentflow.errors import Blocked, ToolFailure, UsageError
from agentflow.interfaces import Sandbox
from agentflow.messages import Signal, ToolCall, ToolResult
from agentflow.records import Json
from agentflow.redaction import Redact
from agentflow.tools import ask, bash, edit, glob, grep, read, write
from agentflow.tools.tool import Tool, clean, short
from agentflow.words import plain

TOOLS: dict[str, Tool] = {
    "Read": Tool("Read", read.Input, read.READ_ONLY, read.shape, read.target),
    "Write": Tool("Write", write.Input, write.READ_ONLY, write.shape, write.target),
    "Edit": Tool("Edit", edit.Input, edit.READ_ONLY, edit.shape, edit.target),
    "Bash": Tool("Bash", bash.Input, bash.READ_ONLY, bash.shape, bash.target, bash.request),
    "Grep": Tool("Grep", grep.Input, grep.READ_ONLY, grep.shape, grep.target),
    "Glob": Tool("Glob", glob.Input, glob.READ_ONLY, glob.shape, glob.target),
    ask.NAME: Tool(ask.NAME, ask.Input, ask.READ_ONLY, ask.shape, ask.target),
}
DEFAULT_TOOLS = tuple(name for name in TOOLS if name != ask.NAME)
"""What a prompt has that names no tools: it does not ask."""
REPEATED = (
    "[This call was interrupted earlier, outcome of network effects unknown: the files were set back "
    "and it ran once more, but what it sent before was sent.]"
)
Ask = Callable[[str], str]
"""Returns a person's answer to a question. Raises `Blocked` with the question if there is none."""


def _as_it_is(text: str) -> str:
    return text


def _nobody(question: str) -> str:
    raise Blocked(question)


class Toolkit:
    """The tools that one agent has, at work in one sandbox."""

    def __init__(
        self,
        sandbox: Sandbox,
        names: tuple[str, ...] = DEFAULT_TOOLS,
        redact: Redact = _as_it_is,
        scopes: tuple[str, ...] = (),
        ask: Ask = _nobody,
        *,
        repeated: frozenset[str] = frozenset(),
    ) -> None:
        """`redact` sees every text before it becomes a message; `scopes` are the patterns that
        each command of Bash must match one of, none for no limit; `repeated` are the ids of calls
        that may have been begun before with a network: a command's result says so.

        Raises `UsageError` for a name that is no tool of ours.
        """
        for name in names:
            if name not in TOOLS:
                raise UsageError(
                    f"there is no tool {name!r}", hint=f"the tools are {', '.join(TOOLS)}"
                )
        self._sandbox = sandbox
        self._redact = redact
        self._scopes = scopes
        self._ask = ask
        self._repeated = repeated
        self._tools = {name: tool for name, tool in TOOLS.items() if name in names}
        self.schemas: list[Json] = [tool.schema for tool in self._tools.values()]
        """For the request, always in the registry's order: a change would cost the cache."""

    def is_read_only(self, call: ToolCall) -> bool:
        """Tell whether the call changes nothing, as one that is refused does."""
        tool = self._tools.get(call.name)
        return tool is None or tool.read_only

    def target(self, call: ToolCall) -> str:
        """Return what the call works on, in a few words; empty if it is malformed."""
        try:
            tool, arguments = self._parse(call)
        except ToolFailure:
            return ""
        return tool.target(arguments)

    async def run(self, call: ToolCall) -> ToolResult:
        """Run a call. What the model can correct becomes a result with `is_error`.

        Raises `EnvironmentFailure` if the sandbox is gone, `Blocked` for a question that nobody has
        answered.
        """
        try:
            tool, arguments = self._parse(call)
            if isinstance(arguments, ask.Input):
                result: Json = {"answer": self._ask(self._cleaned(ask.words(arguments)))}
            else:
                result = await self._sandbox.call(tool.name, tool.request(arguments))
        except ToolFailure as failure:
            return ToolResult(
                call.id, self._cleaned(str(failure)) or "The tool failed.", is_error=True
            )
        content, is_error = tool.shape(arguments, result)
        signals = tuple(
            Signal(self._cleaned(signal["name"]), self._cleaned(signal["text"]))
            for signal in result.get("signals", ())
        )
        if isinstance(content, str):
            content = self._cleaned(content)
            if isinstance(arguments, bash.Input) and call.id in self._repeated:
                content = f"{REPEATED}\n{content}"
        return ToolResult(call.id, content, is_error, signals)

    async def keep(self, name: str, text: str) -> str:
        """Write a text to a file that Read can page; its path inside, empty if that cannot be."""
        if "Read" not in self._tools:
            return ""
        try:
            result = await self._sandbox.call("Keep", {"name": name, "text": text})
        except ToolFailure:  # the scratch folder is full: the call can be made again
            return ""
        return str(result["path"])

    def _cleaned(self, text: str) -> str:
        return self._redact(clean(text))

    def _parse(self, call: ToolCall) -> tuple[Tool, BaseModel]:
        tool = self._tools.get(call.name)
        if tool is None:
            raise ToolFailure(_unknown(call.name, self._tools))
        if call.arguments is None:
            raise ToolFailure(f"{call.name}: {call.problem or 'the input is not a JSON object.'}")
        try:
            arguments = tool.input.model_validate(call.arguments)
        except ValidationError as error:
            sentences = [_sentence(detail, tool) for detail in error.errors(include_url=False)]
            raise ToolFailure(f"{call.name}: {' '.join(sentences)}") from None
        if self._scopes and isinstance(arguments, bash.Input):
            refused = refusal(arguments.command, self._scopes)
            if refused:
                raise ToolFailure(refused)
        return tool, arguments


def _unknown(name: str, tools: Iterable[str]) -> str:
    available = list(tools)
    folded = {tool.lower(): tool for tool in available}
    near = difflib.get_close_matches(name.lower(), folded, 1)
    guess = f" Did you mean {folded[near[0]]}?" if near else ""
    names = ", ".join(available) or "none"
    return f"There is no tool {short(name)!r} here.{guess} Available: {names}."


def _sentence(detail: ErrorDetails, tool: Tool) -> str:
    """Say which parameter, what is wrong and what was given."""
    name = ".".join(map(str, detail["loc"]))
    if detail["type"] == "missing":
        return f"`{name}` is required."
    if detail["type"] == "extra_forbidden":
        known = ", ".join(field.alias or key for key, field in tool.input.model_fields.items())
        return f"`{name}` is not a parameter; the parameters are {known}."
    given = short(repr(detail["input"]), 60)
    told = plain(detail["msg"])
    return f"`{name}`: {told[:1].lower()}{told[1:]} (given: {given})."
