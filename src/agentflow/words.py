"""Words that are said in more than one place."""

import shlex


def word(text: object) -> str:
    """A name or path as one word of a command that a person copies into a shell: it runs nothing."""
    return shlex.quote(str(text))


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`, `3 batches`, `1,200 files`."""
    ending = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number:,} {noun}{ending}"


def plain(message: str) -> str:
    """What is wrong with a value, without the class of the error that pydantic puts before it."""
    return message.removeprefix("Value error, ")


def how_to_add(extra: str) -> str:
    """How the packages of an extra are installed. By agentflow's folder and not by its name, which
    is another project's on the public index."""
    return f"in the folder of agentflow's source: pip install '.[{extra}]'"
