"""TOML that somebody else wrote, in bounded time: Python's reader takes a quarter of an hour for a
key of a million names."""

import re
import tomllib

from agentflow.records import Json

MAX_NAMES = 64
"""Names of one dotted key."""

_NAME = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_DEEP = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_NAME}[ \t]*+\.[ \t]*+){{{MAX_NAMES}}}")


def parse_toml(text: str) -> Json:
    """Return the document. Raises `ValueError` for anything else, for one that nests too deeply, and
    for keys, or words that look like one, of more than `MAX_NAMES` names."""
    if _DEEP.search(text):
        raise ValueError(f"a key of more than {MAX_NAMES} names")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error
