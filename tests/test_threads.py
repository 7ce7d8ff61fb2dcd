"""Plain work in threads that is not left half done."""

import asyncio
import threading

from agentflow.threads import to_the_end


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
