"""Many commands in one process: agentflow is imported once, and each command is a fork of it.

Reads `[[arguments, standard output, standard error], ...]` as JSON; writes
`[[exit code, what was said on standard error], ...]`. A stream is a path, `closed`, or `nobody`: a pipe
without a reader. `said` is read back.
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path

from agentflow import cli
from agentflow.streams import hold_standard_streams

SAID = "said"
MOST = (
    "archive", "command_values", "details.reading", "init.proposal", "pages.report", "plan",
    "prompts.lint", "rewinding", "settings_shown", "sinks.verdict", "task_documents", "task_queues",
    "tasks.tasks_lint",
)  # fmt: skip
"""What most commands would wait for."""


def _open(number: int, stream: str) -> None:
    if stream == "closed":
        os.close(number)
        return
    if stream == "nobody":
        reader, target = os.pipe()
        os.close(reader)
    else:
        flags = os.O_WRONLY | (os.O_CREAT | os.O_TRUNC if stream == SAID else 0)
        target = os.open(stream, flags, 0o600)
    os.dup2(target, number)
    os.close(target)


def _run(arguments: list[str], output: str, talk: str) -> None:
    """Become the command, as Python starts one."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    _open(1, output)
    _open(2, talk)
    if output == "closed":
        sys.stdout = None
    if talk == "closed":
        sys.stderr = None
    hold_standard_streams()
    sys.argv = ["agentflow", *arguments]
    cli.main()


def _forked(arguments: list[str], output: str, talk: str) -> tuple[int, str]:
    child = os.fork()
    if not child:
        try:
            _run(arguments, output, talk)
        except BaseException as error:  # noqa: BLE001  # as the interpreter would end
            sys.excepthook(type(error), error, error.__traceback__)
        os._exit(99)
    _, status = os.waitpid(child, 0)
    if talk != SAID:
        return os.waitstatus_to_exitcode(status), ""
    return os.waitstatus_to_exitcode(status), Path(SAID).read_text("utf-8")


if __name__ == "__main__":
    cli.application()
    for module in MOST:
        import_module(f"agentflow.{module}")
    cases = json.load(sys.stdin)
    json.dump([_forked(*case) for case in cases], sys.stdout)
