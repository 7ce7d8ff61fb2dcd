"""What a commit's message says of the batch that it is of. Nothing here fails anything: of the genuine
commits of the field 40 % name their batch."""

import re
from collections.abc import Iterator

_CONVENTIONAL = re.compile(r"[a-z]{2,20}(?:\([^()\n]{1,80}\))?!?: \S")
"""Conventional Commits 1.0.0: a type, a scope, a colon and a blank."""


def names_batch(message: str, name: str) -> bool:
    """Whether a commit's message names the batch."""
    return _names(message, r"batch(?:es)?", name)


def names_task(message: str, name: str) -> bool:
    """Whether a commit's message names the task."""
    return _names(message, r"tasks?", name)


def _names(message: str, word: str, name: str) -> bool:
    shape = rf"\b{word}[ \t#_-]*{re.escape(name)}(?![\w.]*\w)"
    return re.search(shape, message, re.IGNORECASE) is not None


def subject_notices(subject: str, batch: str) -> Iterator[str]:
    """What the form prescribes and a subject does not have."""
    if not _CONVENTIONAL.match(subject):
        yield f"the commit's subject is not conventional (`type(scope): …`): {subject[:100]}"
    if not names_batch(subject, batch):
        yield f"the commit's subject does not name batch {batch}: {subject[:100]}"
