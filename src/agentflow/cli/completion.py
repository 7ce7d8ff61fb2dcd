"""What the shell completes: tasks, runs and prompts by their names."""

from collections.abc import Iterable
from pathlib import Path


def complete_task(incomplete: str) -> list[str]:
    """Task ids."""
    from agentflow.tasks.queue_headings import names_in_queues

    root = _root()
    known = {path.stem for path in (root / ".orchestrator/tasks").glob("*.md")}
    return _fitting({*known, *names_in_queues(root)}, incomplete)


def complete_run(incomplete: str) -> list[str]:
    """Runs, and the tasks that were run."""
    from agentflow.runs import list_runs

    reports = list_runs(_root())
    return _fitting({str(each[name]) for each in reports for name in ("run", "task")}, incomplete)


def complete_open_run(incomplete: str) -> list[str]:
    """Runs that can go on."""
    from agentflow.done_runs import open_runs

    return _fitting(open_runs(_root()), incomplete)


def complete_prompt(incomplete: str) -> list[str]:
    """Prompts that have a name."""
    from agentflow.prompts.search import search

    return _fitting({found.name for found in search(_root(), ())}, incomplete)


def complete_outcome(incomplete: str) -> list[str]:
    """How a run can end."""
    from agentflow.runs import OUTCOMES

    return _fitting(OUTCOMES, incomplete)


def _root() -> Path:
    """The folder that runs lie in; nothing is started to find out, as the shell waits."""
    here = Path.cwd()
    return next((each for each in (here, *here.parents) if (each / ".orchestrator").is_dir()), here)


def _fitting(names: Iterable[str], incomplete: str) -> list[str]:
    """A repository's names reach the terminal here, so only those that cannot command it."""
    return sorted(name for name in set(names) if name.startswith(incomplete) and name.isprintable())
