"""What a handoff leaves open, and answers to it."""

import pytest

from agentflow.errors import UsageError
from agentflow.tasks.handoff import Handoff, read_handoffs
from agentflow.tasks.handoff_questions import Reading, read_against, unplaced, with_answers
from agentflow.tasks.service_match import make_workspace

WORKSPACE = make_workspace(
    "platform",
    ["apps/api/a", "services/api/b", "services/mail/c", "packages/types/package.json"],
    packages={"@acme/types": "packages/types"},
)
COMPLETE = """- **Trigger**: t
- **Expected backend work**: add POST /v1/mails
- **Service(s)**: mail
- **Contract requirements**: `{ "to": string }` in @acme/types"""


def handoff(text: str) -> Handoff:
    return read_handoffs(text, where="x").blocks[0]


def read(text: str) -> Reading:
    return read_against(handoff(text), WORKSPACE)


def asked(text: str) -> list[tuple[str, int]]:
    return [(each.id, each.line) for each in read(text).questions]


def test_a_complete_block_leaves_nothing_open() -> None:
    found = read(COMPLETE)

    assert found.questions == ()
    assert found.folders == ("services/mail", "packages/types")
    assert found.boundaries.allow == ("services/mail/**", "packages/types/**")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("add POST /v1/mails", "", [("work", 2)]),
        ("add POST /v1/mails", "TBD", [("work", 2)]),
        ("add POST /v1/mails", "[What to do]", [("work", 2)]),
        ("- **Service(s)**: mail\n", "", [("services", 1)]),
        ("mail\n", "unknown\n", [("services", 3)]),
        ("mail\n", "mail, api\n", [("service:api", 3)]),
        ("mail\n", "mial\n", [("service:mial", 3)]),
        ('`{ "to": string }` in @acme/types', "", [("contract", 2)]),
        ('`{ "to": string }` in @acme/types', "tbd", [("contract", 2)]),
        ('- **Contract requirements**: `{ "to": string }` in @acme/types', "", [("contract", 2)]),
        (
            '- **Contract requirements**: `{ "to": string }` in @acme/types',
            '- **Frontend context**: it sends\n  ```json\n  {"to": "a"}\n  ```',
            [],
        ),
        ("POST /v1/mails", "a retry to the mailer", []),
    ],
)
def test_what_is_missing_or_ambiguous_is_asked(
    old: str, new: str, expected: list[tuple[str, int]]
) -> None:
    text = COMPLETE.replace(old, new)
    if new == "a retry to the mailer":
        text = text.replace('`{ "to": string }` in @acme/types', "")
    assert asked(text) == expected


def test_questions_name_the_candidates() -> None:
    ambiguous, unknown = (
        read(COMPLETE.replace("mail\n", name)).questions[0].why for name in ("api\n", "mial\n")
    )

    assert ambiguous == "it could be apps/api, services/api"
    assert unknown == ("no folder, package or submodule is called 'mial'; did you mean 'mail'?")


def test_a_shell_command_is_no_contract() -> None:
    text = "**Expected backend work:** new endpoint\n```bash\ncurl http://x/{id}\n```\n**Service:** mail"

    assert asked(text) == [("contract", 3)]


def test_a_repository_without_services_is_the_service() -> None:
    alone = make_workspace("tool", ["src/a.py", "README.md"])
    found = read_against(handoff("**Expected backend work:** mend it"), alone)

    assert (found.questions, found.folders, found.boundaries.allow) == ((), ("",), ())


def test_the_recipients_folder_is_the_service_of_a_block_that_names_none() -> None:
    both = make_workspace("game", ["backend/composer.json", "frontend/package.json"])
    found = read_against(handoff("## For: backend\n**Expected behavior:** works"), both)

    assert (found.questions, found.folders) == ((), ("backend",))


def test_answers_complete_a_block_and_are_part_of_its_text() -> None:
    text = "**Trigger:** the inbox\n**Service(s):** api, mail\n**Contract requirements:** tbd"
    open_block = handoff(text)
    complete = with_answers(
        open_block,
        {"work": "add GET /v1/a", "service:api": "services/api", "contract": "`{a: string}`"},
    )
    found = read_against(complete, WORKSPACE)

    assert [each.id for each in read_against(open_block, WORKSPACE).questions] == [
        "work", "service:api",
    ]  # fmt: skip
    assert (found.questions, found.folders) == ((), ("services/api", "services/mail"))
    assert complete.text.startswith(text)
    assert complete.text.endswith(
        "## Answers\n\n- **Expected backend work**: add GET /v1/a\n"
        "- **service:api**: services/api\n- **Contract requirements**: `{a: string}`"
    )
    assert with_answers(complete, {"services": "mail"}).services == ("mail",)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"wrok": "x"}, "did you mean 'work'"),
        ({"service:other": "x"}, "no question"),
        ({"endpoints": "x"}, "no question"),
        ({"work": " TBD "}, "empty"),
        ({"work": "x" * 70_000}, "longer"),
    ],
)
def test_answers_to_nothing_are_refused(answers: dict[str, str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        with_answers(handoff(COMPLETE), answers)


def test_a_name_in_an_answer_can_be_asked_about_and_answered() -> None:
    block = handoff("**Expected backend work:** mend it\n**Service(s):** post, api")
    wrong = {"service:post": "nofolder", "service:api": "services/api"}
    asked_again = read_against(with_answers(block, wrong), WORKSPACE)
    right = {**wrong, "service:nofolder": "services/mail"}

    assert [each.id for each in asked_again.questions] == ["service:nofolder"]
    assert list(unplaced(wrong, asked_again)) == ["service:post"]
    found = read_against(with_answers(block, right), WORKSPACE)
    assert (found.questions, found.folders) == ((), ("services/mail", "services/api"))
    assert unplaced(right, found) == {}


@pytest.mark.parametrize(
    ("answers", "services"),
    [
        (
            {"services": "mial, api", "service:mial": "mail", "service:api": "services/api"},
            ("mail", "services/api"),
        ),
        ({"services": "a", "service:a": "b, c", "service:b": "c", "service:c": "mail"}, ("mail",)),
        ({"services": "a, mail", "service:a": "a"}, ("a", "mail")),
        ({"services": "a", "service:a": "b", "service:b": "a"}, ("b",)),
    ],
)
def test_answers_to_answers_are_followed_to_their_end(
    answers: dict[str, str], services: tuple[str, ...]
) -> None:
    block = handoff("**Expected backend work:** mend it")
    assert with_answers(block, answers).services == services


def test_names_that_answer_each_other_many_ways_are_followed_once() -> None:
    links = {f"service:{n}": f"{n + 1}, x{n}" for n in range(60)}
    links |= {f"service:x{n}": f"{n + 1}, x{n + 1}" for n in range(60)}
    block = handoff("**Expected backend work:** mend it\n**Service(s):** 0")
    assert with_answers(block, links).services == ("60", "x60")
