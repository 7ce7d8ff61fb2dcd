"""Redaction: values that no text may show are taken out before anybody reads it."""

import base64
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote

Redact = Callable[[str], str]
"""Returns the text without secret values."""

MARK = "[redacted]"
MIN_LENGTH = 4
"""Characters. A shorter value would take common words out of every text."""


def redactor(values: Iterable[str]) -> Redact:
    """Make a function that replaces every one of the values, also where they are encoded as in a
    URL or in Base64. A value of several lines is found line by line."""
    lines = {line.strip() for value in values for line in (value, *value.splitlines())}
    secret = {line for line in lines if len(line) >= MIN_LENGTH}
    forms = {form for value in secret for form in _forms(value)}
    if not forms:
        return lambda text: text
    pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
    return lambda text: pattern.sub(MARK, text)


def _forms(value: str) -> tuple[str, ...]:
    encoded = base64.b64encode(value.encode("utf-8", "surrogateescape")).decode("ascii")
    safe = quote(value, safe="", errors="surrogateescape", encoding="utf-8")
    return value, safe, encoded.rstrip("=")
