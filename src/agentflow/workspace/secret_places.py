"""Secrets in commits, found before these leave this machine: pushed to a remote, or packed into a file."""

from agentflow.redaction import Redact
from agentflow.workspace.git import Git, GitError
from agentflow.workspace.objects import contents

MAX_FILE = 8 << 20
"""Bytes of a file that is looked through."""


def secret_places(state: Git, commit: str, since: str, redact: Redact) -> list[str]:
    """What of a commit, and not of `since`, holds a secret: each a clause for a sentence.

    Looked at are files and messages. Lines that the file had before are not new.
    """
    listing = state.text("rev-list", "--objects", commit, f"^{since}")
    parts = (line.partition(" ") for line in listing.split("\n") if line)
    paths = {name: path for name, _, path in parts}
    checks = state.text(
        "cat-file", "--batch-check", stdin="".join(f"{name}\n" for name in paths).encode()
    )
    kinds = [line.split(" ") for line in checks.split("\n") if line]
    blobs = {name: int(size) for name, kind, size in kinds if kind == "blob"}
    large = [paths[name] for name, size in blobs.items() if size > MAX_FILE]
    if large:
        return [f"{large[0]} is too large to be looked through for secrets"]
    texts = contents(state, [name for name, kind, _ in kinds if kind in {"blob", "commit"}])
    return [
        f"{paths[name] or 'a message of a commit'} holds a secret"
        for name, raw in texts.items()
        if _has_new_secret(state, raw.decode("utf-8", "replace"), f"{since}:{paths[name]}", redact)
    ]


def _has_new_secret(state: Git, text: str, before: str, redact: Redact) -> bool:
    if redact(text) == text:
        return False
    try:
        known = state.run("cat-file", "blob", before).decode("utf-8", "replace")
    except GitError:
        return True
    had = frozenset(known.split("\n"))
    added = "\n".join(line for line in text.split("\n") if line not in had)
    return redact(added) != added
