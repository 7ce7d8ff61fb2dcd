"""A conversation that outgrows its window goes on, in ways that the journal can tell again."""

import pytest

from agentflow.context import SUMMARY
from agentflow.events import AssistantMessage
from agentflow.history import decode, messages_to_send
from agentflow.order import Order
from agentflow.records import Json
from agentflow.reduction import SUMMARIZE
from tests.run.project import HELLO, Project, call, turn

pytestmark = pytest.mark.sandbox

WINDOW = 20_000
"""Tokens; a reply may have 5,000 of them, so 15,000 are left, and 12,750 fill it."""


def lines_of(number: int) -> str:
    return "".join(f"{number} is the number of line {line}\n" for line in range(400))


def read(number: int, **more: object) -> Json:
    return call("Read", file_path=f"app/big{number}.txt", **more)


def big_files(project: Project, count: int) -> None:
    for number in range(count):
        project.write(f"app/big{number}.txt", lines_of(number))
    project.commit()


def usage(tokens: int) -> Json:
    return {"input_tokens": tokens, "output_tokens": 0}


def journaled(project: Project, report: Json) -> list[list[Json]]:
    """What the journal says was sent for each reply, the summary's request left out."""
    lines = decode(project.journal(report["run"]))
    asked = [place for place, line in enumerate(lines) if isinstance(line.event, AssistantMessage)]
    return [messages_to_send(lines[:place]) for place in asked]


def sent(project: Project) -> list[list[Json]]:
    return [each["messages"] for each in project.requests]


async def test_old_results_become_files_that_read_can_page(project: Project) -> None:
    big_files(project, 4)
    again = call("Read", file_path="/tmp/results/2-0.txt", offset=2, limit=1)
    turns = [
        turn(read(0), usage=usage(3_000)),
        turn(read(1), usage=usage(6_000)),
        turn(read(2), usage=usage(7_000)),
        turn(read(3), usage=usage(8_500)),
        turn(again),
        turn(text="I think that is all."),
        turn(again, HELLO),
        turn(),
    ]

    report = await project.run(turns, context_window=WINDOW)

    assert report["outcome"] == "done"
    assert journaled(project, report) == sent(project)
    (reduced,) = [each for each in project.journal(report["run"]) if "references" in each]
    assert reduced["before"] >= 12_750
    before, after = sent(project)[3:5]
    moved = [place for place, message in enumerate(before) if after[place] != message]
    assert moved == [2, 4]
    line = after[2]["content"][0]["content"]
    assert line == (
        f"[Taken out of the conversation: 400 lines, {400 * 7 + len(lines_of(0)) - 1:,} "
        "characters. Read /tmp/results/2-0.txt]"
    )
    # in the sandbox of the repair, too
    for results in (sent(project)[5][-1], sent(project)[7][-1]):
        assert "0 is the number of line 1\n" in f"{results['content'][0]['content']}\n\n"


async def test_a_summary_takes_the_place_of_what_cannot_be_moved(project: Project) -> None:
    def write(number: int, tokens: int) -> Json:
        text = call("Write", file_path=f"app/{number}.txt", content=lines_of(number))
        return turn(text, usage=usage(tokens))

    turns = [
        *(write(1, 4_000), write(2, 8_000), write(3, 12_900)),
        turn(text="Three files are written."),
        *(turn(HELLO), turn()),
    ]

    report = await project.run(turns, by="requests", context_window=WINDOW)

    assert report["outcome"] == "done"
    assert report["num_turns"] == 6
    requests = sent(project)
    assert requests[3][:-1] == [*requests[2], requests[3][-2]]
    assert requests[3][-1]["content"][-1] == {"type": "text", "text": SUMMARIZE}
    first, *rest = requests[4]
    assert first["content"] == [
        {"type": "text", "text": requests[0][0]["content"]},
        {"type": "text", "text": f"{SUMMARY}Three files are written."},
    ]
    assert [message["role"] for message in rest] == ["assistant", "user"]
    assert rest[0]["content"][1]["input"]["file_path"] == "app/3.txt"
    assert journaled(project, report) == [*requests[:3], *requests[4:]]


async def test_a_request_that_is_too_long_is_sent_once_more_with_less(project: Project) -> None:
    big_files(project, 2)
    turns = [
        *(turn(read(0)), turn(read(1))),
        turn(text="never said", faults=["context_overflow"]),
        *(turn(HELLO), turn()),
    ]

    report = await project.run(turns, by="requests")

    assert report["outcome"] == "done"
    refused, taken = sent(project)[2:4]
    assert [len(refused), len(taken)] == [5, 5]
    assert taken[2]["content"][0]["content"].startswith("[Taken out of the conversation: 400 lines")
    assert journaled(project, report)[2] == taken


async def test_a_second_refusal_in_a_row_ends_the_run(project: Project) -> None:
    big_files(project, 2)
    refused = turn(text="never said", faults=["context_overflow"])

    report = await project.run(
        [turn(read(0)), turn(read(1)), refused, refused, turn()], by="requests"
    )

    assert (report["outcome"], report["exit_code"]) == ("budget", 4)
    assert "prompt is too long" in report["reason"]


async def test_a_reply_that_fills_the_window_is_followed_by_a_smaller_request(
    project: Project,
) -> None:
    big_files(project, 2)
    full = {"stop_reason": "model_context_window_exceeded"}
    turns = [turn(read(0)), turn(read(1)), turn(text="I was about", **full), turn(HELLO), turn()]

    report = await project.run(turns)
    assert report["outcome"] == "done"
    assert "There is room again" in sent(project)[3][-1]["content"]
    assert sent(project)[3][2] != sent(project)[2][2]

    report = await project.run([turn(text="I was", **full)] * 3, order=Order("TASK-1", fresh=True))
    assert (report["outcome"], report["exit_code"]) == ("budget", 4)


async def test_results_of_one_turn_are_bounded_together(project: Project) -> None:
    big_files(project, 2)

    await project.run([turn(read(0), read(1), HELLO), turn()], context_window=WINDOW)

    results = sent(project)[1][-1]["content"]
    assert [bool(each.get("is_error")) for each in results] == [False, True, False]
    assert results[1]["content"].startswith("Not shown: the results of one turn have 20,000")
