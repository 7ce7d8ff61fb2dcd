"""Words that are said in more than one place."""

import shlex


def word(text: object) -> str:
    """A name or path as one word of a command that a person copies into a shell: it runs nothing, and
    its last character is not taken for the end of a sentence."""
    quoted = shlex.quote(str(text))
    return f"'{quoted}'" if quoted[-1] in ".,:" and quoted.strip(".") else quoted


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`, `3 batches`, `1,200 files`."""
    ending = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number:,} {noun}{ending}"


_ENDED = {
    "done": "is done",
    "failed": "failed its checks",
    "blocked": "waits for an answer",
    "budget": "stopped at a limit",
    "environment": "stopped as the repository or the machine was not ready",
    "provider": "stopped as the API of the model failed",
    "conflict": "could not land what it verified",
    "interrupted": "was interrupted",
    "unfinished": "was left unfinished",
}


def ended(outcome: object) -> str:
    """What an outcome means, as the rest of a sentence about a run."""
    return _ENDED.get(str(outcome), f"ended with {outcome}")


def plain(message: str) -> str:
    """What is wrong with a value, without the class of the error that pydantic puts before it."""
    return message.removeprefix("Value error, ")


def how_to_add(extra: str) -> str:
    """How the packages of an extra are installed. By agentflow's folder and not by its name, which
    is another project's on the public index."""
    return f"in the folder of agentflow's source: pip install '.[{extra}]'"
