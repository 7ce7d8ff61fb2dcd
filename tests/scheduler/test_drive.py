import asyncio

from agentflow.scheduler import Ending, Job, drive, schedule


class Runs:
    """Runs that take three turns of the loop, and who ran together."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.now: set[str] = set()
        self.together: list[set[str]] = []

    async def __call__(self, job: Job) -> bool:
        self.now.add(job.id)
        self.together.append(set(self.now))
        for _ in range(3):
            await asyncio.sleep(0)
        self.now.discard(job.id)
        return job.id not in self.failing


async def drove(runs: Runs, *jobs: Job, at_once: int = 4, keep: bool = True) -> dict[str, Ending]:
    return await drive(schedule(jobs), runs, at_once=at_once, keep_going=keep)


async def test_no_more_than_so_many_run_at_once() -> None:
    runs = Runs()
    await drove(runs, *(Job(f"T{i}", writes=(f"d{i}/",)) for i in range(6)), at_once=2)
    assert max(map(len, runs.together)) == 2


async def test_who_depends_on_a_failed_task_is_skipped_and_others_go_on() -> None:
    jobs = (Job("A", (), ("a/",)), Job("B", ("A",), ("b/",)), Job("C", (), ("a/",)))
    assert await drove(Runs("A"), *jobs) == {"A": "failed", "B": "skipped", "C": "succeeded"}
    stopped = await drove(Runs("A"), *jobs, keep=False)
    assert stopped == {"A": "failed", "B": "skipped", "C": "skipped"}


async def test_a_skipped_task_opens_no_way_past_the_one_before_it() -> None:
    runs = Runs("F")
    f, slow = Job("F", (), ("f/",)), Job("A", ("G",), ("a/",))
    g, skipped = Job("G", (), ("g/",)), Job("B", ("F",), ("a/",))
    ended = await drove(runs, f, g, slow, skipped, Job("C", ("G",), ("a/",)))
    assert ended["B"] == "skipped"
    assert ended["C"] == "succeeded"
    assert not any({"A", "C"} <= together for together in runs.together)
