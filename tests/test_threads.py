"""Plain work in threads that is not left half done, or done twice."""

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentflow.threads import meanwhile, once, then_stop, to_the_end


async def test_however_often_somebody_is_told_to_stop_the_thread_is_waited_for() -> None:
    go, done = threading.Event(), list[str]()

    def work() -> str:
        assert go.wait(60)
        done.append("written")
        return "result"

    task = asyncio.ensure_future(to_the_end(work))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    go.set()

    assert await task == "result"
    assert done == ["written"]


async def test_who_was_told_to_stop_stops_when_the_thread_has_ended() -> None:
    go, done = threading.Event(), list[str]()

    def work() -> str:
        assert go.wait(60)
        done.append("written")
        return "result"

    task = asyncio.ensure_future(then_stop(work))
    for number in (2, 15):
        await asyncio.sleep(0)
        task.cancel(number)
        await asyncio.sleep(0.01)
        assert not task.done()
    go.set()

    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert (caught.value.args, done) == ((2,), ["written"])
    assert await then_stop(work) == "result"


@pytest.mark.parametrize("run", [to_the_end, then_stop])
async def test_what_the_thread_raises_is_raised(run: Callable[..., Awaitable[None]]) -> None:
    def fail() -> None:
        raise ValueError("in the thread")

    with pytest.raises(ValueError, match="in the thread"):
        await run(fail)


def test_of_threads_that_ask_at_once_one_finds_out() -> None:
    asked, all_there = list[str](), threading.Barrier(4)

    @once
    def find(name: str) -> str:
        asked.append(name)
        return f"{name}!"

    def ask(name: str) -> str:
        all_there.wait(60)
        return find(name)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, ["a", "a", "b", "a"])) == ["a!", "a!", "b!", "a!"]
    assert sorted(asked) == ["a", "b"]


async def test_what_is_done_meanwhile_can_be_awaited_and_is_over_with_the_block() -> None:
    ended = list[str]()

    async def work(name: str, seconds: float) -> str:
        try:
            await asyncio.sleep(seconds)
            return name
        finally:
            ended.append(name)

    async with meanwhile(work("short", 0)) as short, meanwhile(work("long", 600)):
        assert (await short, await short) == ("short", "short")
    assert ended == ["short", "long"]


async def test_a_failure_meanwhile_is_who_awaits_its_and_nobody_elses() -> None:
    lost = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))

    async def fail(seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        finally:
            raise ValueError("meanwhile")

    async def leave() -> None:
        async with meanwhile(fail(600)):
            await asyncio.sleep(0)

    with pytest.raises(ValueError, match="meanwhile"):
        async with meanwhile(fail(0)) as failing:
            await failing
    await asyncio.create_task(leave())
    gc.collect()
    assert lost == []


async def test_who_is_told_to_stop_twice_waits_for_what_is_done_meanwhile() -> None:
    ended, inside = list[str](), asyncio.Event()

    async def work() -> None:
        try:
            inside.set()
            await asyncio.sleep(600)
        finally:
            try:
                await asyncio.sleep(600)  # an end that takes long
            finally:
                await asyncio.sleep(0)
                ended.append("work")

    async def block() -> None:
        try:
            async with meanwhile(work()):
                await asyncio.sleep(600)
        finally:
            ended.append("block")

    task = asyncio.create_task(block())
    await inside.wait()
    for _ in range(2):
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["work", "block"]
