"""The pace that models share: counted limits, the server's word, refusals."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from agentflow.events import Event, RetryScheduled
from agentflow.messages import Reply, Request, Usage
from agentflow.models.anthropic import AnthropicModel, open_model
from agentflow.models.pace import LONGEST_HOLD, Pace, Rates
from agentflow.models.retry import Failed
from agentflow.models.scripted import ScriptedServer, read_script
from tests.run.project import turn

LIMITED = Failed("429", limited=True)


@dataclass
class Time:
    """A clock that sleeping moves."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list[float])

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def paced(**rates: int) -> tuple[Pace, Time]:
    time = Time()
    return Pace(Rates(**rates), time.clock, time.sleep), time


def headers(kind: str, limit: object, remaining: object) -> Mapping[str, str]:
    name = f"anthropic-ratelimit-{kind}"
    return {f"{name}-limit": str(limit), f"{name}-remaining": str(remaining)}


async def test_no_more_requests_in_a_minute_than_configured() -> None:
    pace, time = paced(requests=60)
    await asyncio.gather(*(pace.turn(0) for _ in range(120)))
    assert round(time.now - 1000) == 60


async def test_input_is_estimated_first_and_put_right_afterwards() -> None:
    pace, time = paced(input_tokens=6_000)
    await pace.turn(1_000)
    pace.used(1_000, Usage(input_tokens=6_000, output_tokens=1, cache_read_tokens=50_000))
    assert round(await pace.turn(100)) == 1
    assert time.slept


async def test_limits_that_are_told_late_make_nobody_wait_beyond_a_minute() -> None:
    pace, time = paced()
    for _ in range(50):
        await pace.turn(10_000)
        time.now += 60
    pace.heard(headers("input-tokens", 50_000, 49_000))
    assert await pace.turn(10_000) <= 60


async def test_output_is_owed_when_it_is_there() -> None:
    pace, _ = paced(output_tokens=600)
    assert await pace.turn(0) == 0
    pace.used(0, Usage(output_tokens=1_200))
    assert round(await pace.turn(0)) == 60


async def test_a_request_larger_than_a_minute_waits_for_a_full_minute_and_goes() -> None:
    pace, _ = paced(input_tokens=600)
    await pace.turn(600)
    assert round(await pace.turn(10_000)) == 60


async def test_the_servers_word_counts_where_it_allows_less() -> None:
    pace, _ = paced(requests=600)
    pace.heard(headers("requests", 60, 0))
    assert round(await pace.turn(0)) == 1
    pace.heard(headers("requests", 6_000, 5_000))
    assert await pace.turn(0) < 1
    for limit, remaining in (("many", "1"), ("0", "0"), ("-1", "5"), ("9" * 40, "0"), ("", "")):
        pace.heard(headers("output-tokens", limit, remaining))
    assert await pace.turn(0) < 1


async def test_what_the_server_has_counted_is_not_counted_again() -> None:
    """The headers of a response hold the request that it answers, however it was estimated."""
    pace, _ = paced()
    await pace.turn(100)
    pace.heard(headers("input-tokens", 6_000, 0))
    pace.used(100, Usage(input_tokens=6_000, output_tokens=1))
    assert round(await pace.turn(100)) == 1
    pace.heard(headers("input-tokens", 6_000, 3_000))
    pace.used(100, Usage())
    assert await pace.turn(100) < 1


async def test_a_refusal_holds_everybody_and_lets_them_come_one_by_one() -> None:
    pace, time = paced()
    assert pace.refused(Failed("429", wait=30.0, limited=True)) == 30.0
    assert pace.refused(LIMITED) == 30.0
    arrived: list[float] = []

    async def one() -> None:
        await pace.turn(0)
        arrived.append(time.now)

    await asyncio.gather(*(one() for _ in range(3)))
    assert [round(at - 1000, 1) for at in arrived] == [30.0, 30.1, 30.2]
    for _ in range(20):
        pace.used(0, Usage(output_tokens=1))
    before = time.now
    await pace.turn(0)
    await pace.turn(0)
    assert time.now == before


async def test_refusals_in_a_row_hold_for_longer() -> None:
    pace, time = paced()
    holds: list[float | None] = []
    for _ in range(9):
        holds.append(pace.refused(LIMITED))
        time.now += 1000
    assert holds == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


async def test_other_failures_and_absurd_wishes_are_not_waited_for() -> None:
    pace, _ = paced()
    assert pace.refused(Failed("529")) is None
    assert pace.refused(Failed("429", wait=LONGEST_HOLD + 1, limited=True)) is None


async def test_a_limit_of_the_server_slows_all_and_kills_none() -> None:
    """Sixteen agents at a server that bears far less, and says so only by refusing."""
    script = {"turns": [turn()], "limits": {"requests": 600}}
    async with ScriptedServer(read_script(script)) as server:
        pace = Pace()
        models = [open_model(base_url=server.url, api_key=None, pace=pace) for _ in range(16)]
        events: list[Event] = []

        async def ask(model: AnthropicModel, number: int) -> Reply:
            message = {"role": "user", "content": f"I am {number}"}
            return await model.reply(Request("m", "", [message], [], 100), events.append)

        server.limits.drain("requests")
        replies = await asyncio.gather(*(ask(each, n) for n, each in enumerate(models)))
        for model in models:
            await model.close()

    assert [reply.text for reply in replies] == ["Done."] * 16
    assert server.limits.refused >= 1
    assert any(isinstance(event, RetryScheduled) for event in events)
