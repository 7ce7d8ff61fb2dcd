"""Plain work in threads that is not left half done, or done twice."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from agentflow.threads import once, to_the_end


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
