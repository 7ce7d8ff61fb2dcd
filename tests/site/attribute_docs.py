"""What the source says of a class's fields: the strings below them."""

import ast
import inspect
from functools import cache


def field_docs(kind: type) -> dict[str, str]:
    """The docstring of each annotated field of a class that has one, on one line."""
    (tree,) = (
        node
        for node in _module(inspect.getsourcefile(kind) or "").body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    found: dict[str, str] = {}
    for node, below in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[node.target.id] = " ".join(str(below.value.value).split())
    return found


def field_types(kind: type) -> dict[str, str]:
    """The annotation of each field of a class, as the source writes it."""
    (tree,) = (
        node
        for node in _module(inspect.getsourcefile(kind) or "").body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    return {
        node.target.id: ast.unparse(node.annotation)
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


@cache
def _module(file: str) -> ast.Module:
    with open(file, encoding="utf-8") as source:  # noqa: PTH123  # a name that Python itself gave
        return ast.parse(source.read())
