"""Which declared shape belongs to an expected one: by endpoint, by name, else by its fields."""

import re
from collections.abc import Sequence

from agentflow.frozen import record
from agentflow.gates.shapes.compare import differences, unwrapped
from agentflow.gates.shapes.resolving import Resolver
from agentflow.gates.shapes.shape import Shape

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_COMMON = frozenset({
    "dto", "request", "response", "input", "output", "payload", "body", "schema", "model", "api",
    "create", "update", "get", "post", "put", "patch", "delete", "v", "id", "result", "new",
})  # fmt: skip
_REQUESTS = frozenset({
    "create",
    "update",
    "request",
    "input",
    "body",
    "payload",
    "query",
    "params",
})
_RESPONSES = frozenset({"response", "result", "output", "view"})
_PARAMETER = re.compile(r"\{[^{}/]{0,100}\}|:[^/]{1,100}|<[^<>/]{0,100}>")


@record
class Match:
    """An expected shape, what was found for it, and how they differ."""

    expected: Shape
    declared: Shape
    differences: tuple[str, ...]


class Matcher:
    """The declared shapes, ready to be compared with several expected ones."""

    def __init__(self, declared: Sequence[Shape]) -> None:
        self._documents = [shape for shape in declared if shape.kind == "OpenAPI"]
        self._code = [shape for shape in declared if shape.kind != "OpenAPI"]
        self._resolvers: dict[str, Resolver] = {}

    def matches(self, expected: Shape) -> list[Match]:
        """The best match among API documents and the best in code; none if nothing belongs."""
        found = (self._best(expected, group) for group in (self._documents, self._code))
        return [match for match in found if match is not None]

    def _best(self, expected: Shape, shapes: Sequence[Shape]) -> Match | None:
        bodies = [shape for shape in shapes if shape.kind != "enum"]
        only = sum(bool(shape.name) for shape in bodies) == 1
        ranks = [self._rank(expected, shape, shapes, only=only) for shape in bodies]
        highest = max(ranks, default=())
        matches = [
            Match(expected, shape, tuple(differences(expected, shape, self._of(shape, shapes))))
            for rank, shape in zip(ranks, bodies, strict=True)
            if rank and rank == highest
        ]
        return min(matches, key=lambda match: len(match.differences), default=None)

    def _of(self, shape: Shape, shapes: Sequence[Shape]) -> Resolver:
        """A name means first what the shape's own file declares."""
        if shape.path not in self._resolvers:
            nearest = sorted(shapes, key=lambda each: each.path != shape.path)
            self._resolvers[shape.path] = Resolver(nearest)
        return self._resolvers[shape.path]

    def _rank(
        self, expected: Shape, shape: Shape, shapes: Sequence[Shape], *, only: bool
    ) -> tuple[float, ...]:
        """How well it belongs, the higher the better; empty if it does not."""
        if shape.endpoint:
            return (3.0,) if _same_endpoint(expected, shape) else ()
        if expected.name and expected.name.casefold() == shape.name.casefold():
            return (2.0,)
        resolver = self._of(shape, shapes)
        wanted = unwrapped(resolver, resolver.view(expected.schema)).properties.keys()
        given = unwrapped(resolver, resolver.view(shape.schema)).properties.keys()
        common = len(wanted & given)
        way = _way(expected, shape)
        related = bool(_words(f"{expected.endpoint} {expected.name}") & _words(shape.name))
        if way < 0 or common * 2 < len(wanted) or not (common > 1 or related or only):
            return ()
        code = float(shape.kind != "interface")
        return (1.0, way, code, common / len(wanted), float(related))


def _same_endpoint(expected: Shape, shape: Shape) -> bool:
    """Whether they are of one endpoint and go one way; a path may begin with a prefix."""
    if expected.direction and expected.direction != shape.direction:
        return False
    method, _, path = expected.endpoint.partition(" ")
    other_method, _, other = shape.endpoint.partition(" ")
    return method == other_method and same_path(path, other)


def same_path(path: str, other: str) -> bool:
    """Whether two paths are one, whatever their parameters are called; one may have a prefix."""
    first, second = (_PARAMETER.sub("{}", each).strip("/") for each in (path, other))
    longer, shorter = (first, second) if len(first) > len(second) else (second, first)
    return bool(shorter) and f"/{longer}".endswith(f"/{shorter}")


def _way(expected: Shape, shape: Shape) -> float:
    """1 if the name goes the expected way, -1 for the other one, else 0."""
    words = set(map(str.lower, _WORD.findall(shape.name)))
    way = bool(words & _REQUESTS) - bool(words & _RESPONSES)
    return float(way * {"request": 1, "response": -1, "": 0}[expected.direction])


def _words(text: str) -> set[str]:
    """What a name or an endpoint is about, in the singular."""
    return {word.lower().removesuffix("s") for word in _WORD.findall(text)} - _COMMON
