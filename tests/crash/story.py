"""The story that is interrupted: thirty turns with writes, commits, a failed verdict and a repair."""

from agentflow.records import Json
from tests.run.project import HELLO, bash, call, turn

TURNS = 30
GATE = {
    "name": "test",
    "command": "test -s app/hello.txt && test $(wc -l < app/log.txt) = 24",
    "must_fail_on_base": True,
}


def story() -> list[Json]:
    """The replies. Every turn leaves a trace that would show if it happened twice."""
    turns = [turn(call("Read", file_path="README.md"), text="I look at what is there.")]
    for number in range(1, 24):
        log = bash(f"echo {number} >> app/log.txt")
        match number % 4:
            case 0:
                commit = bash(f"git add -A && git commit -qm 'feat: step {number}'")
                turns.append(turn(log, commit))
            case 1:
                turns.append(turn(log, call("Glob", pattern="app/m*")))
            case 2:
                write = call("Write", file_path=f"app/{number}.txt", content=f"{number}\n")
                turns.append(turn(write, log))
            case _:
                turns.append(turn(call("Read", file_path="app/log.txt"), log))
    turns.append(turn(HELLO, text="The file that was asked for."))
    turns.append(turn(text="I am done."))
    turns += [
        turn(bash("wc -l < app/log.txt"), text="One line is missing."),
        turn(bash("echo 24 >> app/log.txt")),
        turn(bash("git add -A && git commit -qm 'fix: the last line'")),
        turn(text="Mended."),
    ]
    assert len(turns) == TURNS
    return turns
