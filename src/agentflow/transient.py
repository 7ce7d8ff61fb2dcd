"""What differs from run to run though nothing changed: places, times, names made anew. Pure."""

import re

_REPLACED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])"), ""),
    # where it ran: checkouts and scratch folders
    (re.compile(r"(?<![^\s\"'=:(])[^\s\"'=:(]*?/gate-\d+/tree\b"), "<tree>"),
    (re.compile(r"/(?:tmp|var/tmp|dev/shm)/[^\s\"':;,)]+"), "<temporary>"),
    # when it ran, and how long
    (
        re.compile(
            r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b"
        ),
        "<time>",
    ),
    (re.compile(r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?\b"), "<time>"),
    (
        re.compile(
            r"\b\d+(?:[.,]\d+)?\s?(?:ns|us|\u00b5s|ms|s|secs?|seconds?|m|mins?|minutes?)\b"
            r"(?:\s?\d+(?:[.,]\d+)?\s?(?:ms|s)\b)*"
        ),
        "<duration>",
    ),
    # names that are made anew each time
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<address>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40})\b"), "<hash>"),
    (re.compile(r"\b(localhost|127\.0\.0\.1|\[::1\]):\d+"), r"\1:<port>"),
    (re.compile(r"\b(pid|PID|seed)([ =:]+)\d+\b"), r"\1\2<number>"),
)


def without_transients(text: str) -> str:
    """The text with a word in the place of each, and without colours."""
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    return text
