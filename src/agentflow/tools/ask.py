"""AskUserQuestion: what only a person can answer. The run is blocked until somebody does."""

from pydantic import BaseModel, Field

from agentflow.records import Json
from agentflow.tools.tool import STRICT, Content, short

NAME = "AskUserQuestion"
READ_ONLY = False
"""So that it runs alone, after all that was asked for before it."""


class Option(BaseModel):
    """One choice."""

    model_config = STRICT
    label: str = Field(min_length=1)
    description: str = ""


class Question(BaseModel):
    """One question."""

    model_config = STRICT
    question: str = Field(min_length=1)
    header: str | None = None
    options: list[Option] = Field(default_factory=list[Option])
    several: bool = Field(False, alias="multiSelect", description="More than one may be chosen")


class Input(BaseModel):
    """Parameters of AskUserQuestion, as other tools name them."""

    model_config = STRICT
    questions: list[Question] = Field(min_length=1, max_length=10)


def words(arguments: Input) -> str:
    """The questions as a person reads them."""
    return "\n\n".join(_one(question) for question in arguments.questions)


def _one(question: Question) -> str:
    choices = [
        f"- {option.label}" + (f": {option.description}" if option.description else "")
        for option in question.options
    ]
    several = " (more than one may be chosen)" if question.several else ""
    return "\n".join([f"{question.question}{several}", *choices])


def shape(arguments: Input, result: Json) -> tuple[Content, bool]:
    """Return the answer."""
    return str(result["answer"]), False


def target(arguments: Input) -> str:
    """Return the first question."""
    return short(arguments.questions[0].question)
