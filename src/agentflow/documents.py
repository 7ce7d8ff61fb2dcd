"""Documents that nobody committed and that the agent is to read all the same."""

from pathlib import Path, PurePosixPath

from agentflow.globs import literal_prefix, matches
from agentflow.plan import Plan
from agentflow.prompts.base_tree import BaseTree

DOCUMENTS = (".md", ".mdx", ".markdown", ".rst", ".adoc")
"""Endings of the untracked files that a prompt may ask for."""


def untracked_documents(plan: Plan) -> tuple[str, ...]:
    """Documents that the task and the prompt speak of and the base does not hold.

    Never one with the name of a secret file: `prompts.base_tree.SECRET` and `[secrets] files`.
    """
    found: list[str] = []
    root = plan.repository.root.resolve()
    path = plan.task.path.resolve() if plan.task.path else None
    if path and path.is_relative_to(root):
        found.append(str(path.relative_to(root)))
    for glob in plan.prompt.profile.documents:
        folder = literal_prefix(glob)
        if Path(root, folder).exists():
            listed = plan.repository.untracked_paths(folder)
            found += [each for each in listed if matches(glob, each) and _is_document(each)]
    secrets = plan.settings.secrets.files
    known = BaseTree(is_secret=lambda path: any(matches(glob, path) for glob in secrets))
    return tuple(
        path
        for path in dict.fromkeys(found)
        if path not in plan.base_paths and not known.secret(path)
    )


def _is_document(path: str) -> bool:
    """Whether a file that nobody committed is text to be read. A repository's prompt says which
    ones it wants, and must not get a `.env` or a key by that."""
    names = PurePosixPath(path).parts
    hidden = any(name.startswith(".") and name != ".orchestrator" for name in names)
    return not hidden and path.endswith(DOCUMENTS)
