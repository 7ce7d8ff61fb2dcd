import itertools
import random

import pytest

from agentflow.errors import UsageError
from agentflow.overlaps import overlap
from agentflow.scheduler import Job, earlier, schedule


def waves(*jobs: Job) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(slot.job.id, slot.wave, slot.apart_from) for slot in schedule(jobs)]


def test_tasks_that_may_write_the_same_path_are_in_different_waves() -> None:
    assert waves(
        Job("A", writes=("src/**",)),
        Job("B", writes=("docs/",)),
        Job("C", writes=("src/api/*.py",)),
        Job("D", writes=("**/*.py",)),
    ) == [("A", 0, ()), ("B", 0, ()), ("C", 1, ("A",)), ("D", 2, ("B", "C"))]


def test_a_task_without_boundaries_runs_alone() -> None:
    assert waves(Job("A", writes=("a/",)), Job("B"), Job("C", writes=("c/",))) == [
        ("A", 0, ()),
        ("B", 1, ("A",)),
        ("C", 2, ("B",)),
    ]


def test_whoever_may_write_the_same_path_waits_also_where_it_is_not_said_again() -> None:
    rng = random.Random(3)
    globs = ["a/**", "a/b/", "**/x.py", "a/*.py", "c/", "{c,d}/x.py", "**/y*", "e/y.py"]
    for _ in range(60):
        written = [tuple(rng.sample(globs, rng.randint(0, 2))) for _ in range(12)]
        jobs = [
            Job(str(n), tuple(str(m) for m in range(n) if rng.random() < 0.1), writes)
            for n, writes in enumerate(written)
        ]
        slots = schedule(jobs)
        sets = earlier(slots)
        for (m, one), (n, other) in itertools.combinations(enumerate(slots), 2):
            writes = (one.job.writes, other.job.writes)
            meet = not all(writes) or any(overlap(*pair) for pair in itertools.product(*writes))
            waits = one.job.id in other.job.depends_on
            assert sets[n] >> m & 1 or not (meet or waits)
            assert other.wave > one.wave or not (meet or waits)


def test_dependencies_come_first_whatever_the_order() -> None:
    assert waves(Job("A", ("B",), ("a/",)), Job("B", (), ("b/",))) == [("B", 0, ()), ("A", 1, ())]


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ([Job("A", ("B",)), Job("B", ("A",))], "wait for each other: "),
        ([Job("A", ("X",))], "A depends on X"),
        ([Job("A"), Job("A")], "given twice: A"),
    ],
)
def test_what_cannot_be_planned_is_named(jobs: list[Job], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        schedule(jobs)
