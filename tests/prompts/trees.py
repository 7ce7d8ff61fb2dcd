"""A base commit in memory: files and links by path."""

from collections.abc import Callable, Mapping

from agentflow.prompts.base_tree import BaseTree


def tree(
    files: Mapping[str, str],
    links: Mapping[str, str] | None = None,
    is_secret: Callable[[str], bool] = lambda _: False,
) -> BaseTree:
    """The tree that holds these."""
    held = {**files, **(links or {})}

    def size(path: str) -> int | None:
        return len(held[path].encode()) if path in held else None

    return BaseTree(frozenset(held), frozenset(links or {}), size, held.get, is_secret)
