"""Redaction: values that no text may show are taken out before anybody reads it."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

Redact = Callable[[str], str]
"""Returns the text without secret values."""

MARK = "[redacted]"
MIN_LENGTH = 4
"""Characters. A shorter value would take common words out of every text."""
MIN_FORM = 6
"""Characters of a part of a Base64 text, for the same reason."""


def redactor(values: Iterable[str]) -> Redact:
    """Make a function that replaces every one of the values, also where they are encoded as in a
    URL or in JSON, or stand within Base64. A value of several lines is found line by line.

    Against who encodes a value in another way on purpose, nothing helps here."""
    lines = {line.strip() for value in values for line in (value, *value.splitlines())}
    secret = {line for line in lines if len(line) >= MIN_LENGTH}
    forms = {form for value in secret for form in _forms(value)}
    if not forms:
        return lambda text: text
    pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
    return lambda text: pattern.sub(MARK, text)


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
