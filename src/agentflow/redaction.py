"""Redaction: what no text may show is taken out before anybody reads it.

Two kinds: the values of configured variables and keys, and what has the format of an issuer's key
(`secret_rules.CERTAIN`). What is merely random stays: a hash in a text would be lost, and entropy
is judged at the gate. What cannot be seen is not found: the middle of a private key without its
first line, a value in an image or encoded in a way of its own.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

from agentflow.secret_rules import CERTAIN, findings

Redact = Callable[[str], str]
"""Returns the text without secret values."""

MARK = "[redacted]"
MOST_PASSES = 8
"""Over one text; two do for all but texts made of secrets that hide in one another."""
MIN_LENGTH = 4
"""Characters. A shorter value would take common words out of every text."""
MIN_FORM = 6
"""Characters of a part of a Base64 text, for the same reason."""

LONGEST_GAP = 200
"""Characters between two lines of a private key: line numbers, quotes, paths."""
_EDGE = re.compile(r"-----(?P<side>BEGIN|END) [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
"""RFC 7468 and RFC 9580."""
_BASE64 = re.compile(r"[A-Za-z0-9+/=]{30,}")


def redactor(values: Iterable[str]) -> Redact:
    """Make a function that takes out the values, as `value_redactor` does, and keys of a known
    format. Its result stays as it is if it is given to it again."""
    without_values = value_redactor(values)

    def redact(text: str) -> str:
        for _ in range(MOST_PASSES):  # what stood beside a secret may be seen for one now
            shown = _without_keys(without_values(text))
            if shown == text:
                break
            text = shown
        return text

    return redact


def value_redactor(values: Iterable[str]) -> Redact:
    """Make a function that replaces every one of the values, also where they are encoded as in a
    URL or in JSON, or stand within Base64. A value of several lines is found line by line.

    Against who encodes a value in another way on purpose, nothing helps here."""
    lines = {line.strip() for value in values for line in (value, *value.splitlines())}
    secret = {line for line in lines if len(line) >= MIN_LENGTH}
    forms = {form for value in secret for form in _forms(value) if form not in MARK}
    if not forms:
        return lambda text: text
    pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
    return lambda text: pattern.sub(MARK, text)


def _without_keys(text: str) -> str:
    if "PRIVATE KEY" in text:
        text = _without_private_keys(text)
    for _, _, secret in list(findings(text, CERTAIN)):
        text = text.replace(secret, MARK)
    return text


def _without_private_keys(text: str) -> str:
    """Of each key its first and last line stay. Line numbers and quotes may stand within."""
    edges = [*_EDGE.finditer(text)]
    shown, done = list[str](), 0
    for number, edge in enumerate(edges):
        if edge["side"] == "END":
            continue
        following = edges[number + 1] if number + 1 < len(edges) else None
        body = text[edge.end() : following.start() if following else len(text)]
        # Between two constants of a program that reads keys stands the program.
        coded = sum(len(run) for run in _BASE64.findall(body))
        whole = following and following["side"] == "END" and 2 * coded > len("".join(body.split()))
        shown += text[done : edge.end()], MARK if whole else _without_runs(body)
        done = edge.end() + len(body)
    return "".join((*shown, text[done:]))


def _without_runs(body: str) -> str:
    """Base64 as far as line follows line."""
    shown, done = list[str](), 0
    for run in _BASE64.finditer(body):
        if run.start() - done > LONGEST_GAP:
            break
        shown += body[done : run.start()], MARK
        done = run.end()
    return "".join((*shown, body[done:]))


def _forms(value: str) -> Iterator[str]:
    yield value
    yield quote(value, safe="", errors="surrogateescape", encoding="utf-8")
    for only_ascii in (True, False):
        yield json.dumps(value, ensure_ascii=only_ascii)[1:-1]
    data = value.encode("utf-8", "surrogateescape")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(data).decode("ascii").rstrip("=")
        yield from filter(_is_telling, (_within(encode, data, before) for before in range(3)))


def _within(encode: Callable[[bytes], bytes], data: bytes, before: int) -> str:
    """The characters that stand for nothing but the data, if so many bytes precede it in a group
    of three: `Basic` credentials are a name and a password together."""
    text = encode(b"\0" * before + data).decode("ascii")
    return text[-(-8 * before // 6) : 8 * (before + len(data)) // 6]


def _is_telling(form: str) -> bool:
    return len(form) >= MIN_FORM
