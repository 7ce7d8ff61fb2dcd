"""What share of a conversation's input is read from the cache, and what agentflow adds to a prompt.

`python benchmarks/cache.py [--check]` prints a Markdown table; with `--check` the exit code is 1 if
a bound is broken. Nothing is timed: the scripted server's own cache counts tokens (four bytes each)
of the requests that agentflow makes, with the API's lookback of 20 blocks. README.md has more.
"""

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

# Run as a script: its own folder is on the path.
from spine import TASK, make_repository  # pyright: ignore[reportImplicitRelativeImport]

from agentflow.messages import Request
from agentflow.models.body import request_body
from agentflow.models.scripted.cache import Cache, estimate
from agentflow.models.scripted.rules import check
from agentflow.models.scripted.wire import sign
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.records import Json
from agentflow.tools import DEFAULT_TOOLS, TOOLS
from agentflow.world import World

TURNS = (10, 50, 200)
LEAST_SHARE = 0.95
"""At 50 turns."""
MOST_OVERHEAD = 2_500
"""Tokens that agentflow adds to the user's prompt: tools, its own words, the first message."""
RESULT = "    return [value for value in values if value is not None]\n" * 30
"""What one call gives back: 1.8 KB, a page of code."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What each turn looks like."""

    name: str
    calls: int
    thinking: str = ""


SHAPES = (
    Shape("one call a turn", 1),
    Shape("thinking, and three calls", 3, "Which of these files is the one? " * 20),
    Shape("twelve calls", 12),
)


def request(plan: Plan, messages: list[Json]) -> Request:
    """A request of the agent's loop."""
    tools = [TOOLS[name].schema for name in DEFAULT_TOOLS]
    return Request(plan.model, plan.rendered.system, messages, tools, 32_000)


def share(plan: Plan, shape: Shape, turns: int) -> float:
    """Of all input tokens of a conversation, those that were read from the cache."""
    cache, read, total = Cache(), 0, 0
    messages: list[Json] = [{"role": "user", "content": plan.rendered.first_message}]
    for number in range(turns):
        usage = cache.usage(check(request_body(request(plan, messages))), 0)
        read += usage["cache_read_input_tokens"]
        total += usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
        total += usage["input_tokens"]
        messages += turn(shape, number)
    return read / total


def turn(shape: Shape, number: int) -> list[Json]:
    """A reply with calls, and their results."""
    names = [f"toolu_{number:04}_{place:02}" for place in range(shape.calls)]
    thought = {"type": "thinking", "thinking": shape.thinking, "signature": sign(shape.thinking)}
    blocks: list[Json] = [
        *([thought] if shape.thinking else []),
        {"type": "text", "text": f"Step {number}: I read on."},
        *(
            {"type": "tool_use", "id": name, "name": "Read", "input": {"file_path": f"src/{name}"}}
            for name in names
        ),
    ]
    results = [{"type": "tool_result", "tool_use_id": name, "content": RESULT} for name in names]
    return [{"role": "assistant", "content": blocks}, {"role": "user", "content": results}]


def overhead(plan: Plan) -> int:
    """Tokens of the first request besides the prompt's body and the task's text."""
    first = request(plan, [{"role": "user", "content": plan.rendered.first_message}])
    whole = estimate(first.tools) + estimate(first.system) + estimate(first.messages)
    return whole - estimate(plan.prompt.body) - estimate(plan.task.text)


def example_plan(folder: Path) -> Plan:
    """The plan of a small task with the built-in prompt, in a new repository."""
    make_repository(folder / "repository")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    world = World(folder / "repository", environment, folder / "cache")
    gates = [{"name": "check", "command": "true"}]
    return asyncio.run(make_plan(Order(TASK, flags={"gates": gates}), world))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Cache reads and the overhead of a prompt.")
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is broken")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agentflow-bench-") as name:
        plan = example_plan(Path(name))
    shares = {shape: [share(plan, shape, turns) for turns in TURNS] for shape in SHAPES}
    print(f"| input read from the cache | {' | '.join(f'{turns} turns' for turns in TURNS)} |")
    print(f"|---|{'---|' * len(TURNS)}")
    for shape, found in shares.items():
        print(f"| {shape.name} | {' | '.join(f'{each:.1%}' for each in found)} |")
    extra = overhead(plan)
    print(f"\nBesides prompt and task, the first request has {extra:,} tokens.")
    holds = extra < MOST_OVERHEAD and all(found[1] >= LEAST_SHARE for found in shares.values())
    return int(given.check and not holds)


if __name__ == "__main__":
    sys.exit(main())
