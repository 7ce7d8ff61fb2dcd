"""Multiline search where ripgrep is missing:
`python3 -I -S -B multiline.py MODE FLAGS BEFORE AFTER PATTERN COMMAND…`.

COMMAND lists the files, each name ended by NUL. What is found is written as ripgrep writes it.
A process of its own: a pattern may take for ever, and whoever started us ends us then.
"""

import bisect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CLASSES = {
    "[:alnum:]": "0-9A-Za-z",
    "[:alpha:]": "A-Za-z",
    "[:blank:]": r"\t ",
    "[:digit:]": "0-9",
    "[:lower:]": "a-z",
    "[:space:]": r"\s",
    "[:upper:]": "A-Z",
    "[:word:]": r"\w",
    "[:xdigit:]": "0-9A-Fa-f",
}
"""What ripgrep knows and Python does not."""

SPANNING = re.compile(r"\n|\\[DWnsx]|\[\^|(?<!\\)\.")
"""What in a pattern may stand for the end of a line. Ripgrep counts matches then, else lines."""


def main() -> None:
    """Search each file that the command lists; end with a sentence on a bad pattern."""
    mode, flags, before, after, pattern, *command = sys.argv[1:]
    for name, members in CLASSES.items():
        pattern = pattern.replace(name, members)
    ignore_case = re.IGNORECASE if "i" in flags else 0
    try:
        wanted = re.compile(pattern, re.DOTALL | re.MULTILINE | ignore_case)
    except (re.error, OverflowError, RecursionError) as error:
        sys.exit(f"error: {error}")
    listing = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if listing.stderr and not listing.stdout:
        sys.exit(listing.stderr.decode("utf-8", "replace"))
    for name in filter(None, listing.stdout.split(b"\0")):
        try:
            data = Path(name.decode("utf-8", "surrogateescape")).read_bytes()
        except OSError:
            continue  # gone, or not readable
        text = data.decode("utf-8", "surrogateescape")
        for piece in _found(wanted, text, mode, int(before), int(after)):
            sys.stdout.buffer.write(name + b"\0" + piece.encode("utf-8", "surrogateescape"))


def _found(wanted: re.Pattern[str], text: str, mode: str, before: int, after: int) -> Iterator[str]:
    """Yield what follows the file's name: nothing for its name alone, a count, or its lines."""
    end = len(text) - text.endswith("\n")  # behind the last line's end there is no line
    spans = (match.span() for match in wanted.finditer(text))
    found = [span for span in spans if span[0] < end or (span[0] == end < len(text))]
    if not found:
        return
    if mode not in {"content", "count"}:
        yield ""
        return
    if mode == "count" and SPANNING.search(wanted.pattern):
        yield f"{len(found)}\n"
        return
    lines = text.removesuffix("\n").split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    matched, shown = set[int](), set[int]()
    for start, stop in found:
        first = bisect.bisect_right(starts, start) - 1
        last = bisect.bisect_right(starts, max(start, stop - 1)) - 1
        matched.update(range(first, last + 1))
        shown.update(range(max(0, first - before), min(len(lines), last + 1 + after)))
    if mode == "count":
        yield f"{len(matched)}\n"
        return
    for index in sorted(shown | matched):
        yield f"{index + 1}{':' if index in matched else '-'}{lines[index]}\n"


if __name__ == "__main__":
    main()
