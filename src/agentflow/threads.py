"""Work beside other work: threads for what must not be left half done or done twice, and a task."""

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def to_the_end(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread and return its result, however often we are told to stop meanwhile.

    A thread cannot be cancelled: who leaves it alone reports an end that is not one.
    """
    return (await _ended(function, *args, **kwargs))[0].result()


async def then_stop(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for what more is to follow: who was told to stop meanwhile stops when it has ended."""
    work, stopped = await _ended(function, *args, **kwargs)
    result = work.result()
    if stopped is not None:
        raise stopped
    return result


async def _ended(
    function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> tuple[asyncio.Future[T], asyncio.CancelledError | None]:
    """The function's work when it is done, and what told us first to stop meanwhile."""
    stopped: asyncio.CancelledError | None = None
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError as error:
            stopped = stopped or error
        except Exception:  # noqa: BLE001  (it is the work's, which whoever asks for its result gets)
            break
    return work, stopped


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, T]) -> AsyncGenerator[asyncio.Task[T]]:
    """Begin to work; what is not done when the block ends is stopped, and waited for."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        again: asyncio.CancelledError | None = None
        task.cancel()
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:  # told once more: so is what ends
                again = error
                task.cancel()
        if not task.cancelled():
            task.exception()  # or one that nobody waited for is logged as a loss
        if again is not None:
            raise again


def once(function: Callable[P, T]) -> Callable[P, T]:
    """The function with its results kept: of several threads that ask at the same time one finds out,
    and the others wait, which `functools.cache` does not see to. Arguments are hashable."""
    lock, kept = threading.Lock(), functools.cache(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with lock:
            return kept(*args, **kwargs)

    return call


def on_this_loop(
    function: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, T]:
    """The coroutine function as one that a thread may call: it runs on the loop that runs now, and
    the thread waits. If the loop ends meanwhile, the thread gets `CancelledError`."""
    loop = asyncio.get_running_loop()

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return asyncio.run_coroutine_threadsafe(function(*args, **kwargs), loop).result()

    return call
