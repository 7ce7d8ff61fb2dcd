"""The differences between an expected and a declared shape, by the path of the field."""

from collections.abc import Iterator
from itertools import islice

from agentflow.gates.shapes.resolving import Resolver, View
from agentflow.gates.shapes.shape import DEEPEST, Direction, Shape

MAX_DIFFERENCES = 20


def differences(expected: Shape, declared: Shape, resolver: Resolver) -> list[str]:
    """What the declared shape lacks or says otherwise, at most `MAX_DIFFERENCES`.

    More fields than expected make no difference. A request may accept more than is expected, a
    response may promise more; where nothing says the way, both must agree.
    """
    comparison = _Comparison(resolver, expected.direction)
    wanted = unwrapped(resolver, resolver.view(expected.schema))
    found = comparison.of("", wanted, unwrapped(resolver, resolver.view(declared.schema)), 0)
    return list(dict.fromkeys(islice(found, MAX_DIFFERENCES)))


def unwrapped(resolver: Resolver, view: View) -> View:
    """Of a list what it holds."""
    return resolver.view(view.items) if view.items is not None else view


class _Comparison:
    def __init__(self, resolver: Resolver, direction: Direction) -> None:
        self._resolver = resolver
        self._direction = direction

    def of(self, place: str, expected: View, declared: View, depth: int) -> Iterator[str]:
        """Compare two places; `place` is empty for the whole."""
        if expected.kinds is None or declared.kinds is None or depth > DEEPEST:
            return
        wanted, given = expected.kinds - {"null"}, declared.kinds - {"null"}
        if wanted and given and not self._fit(wanted, given):
            yield f"{place or 'the body'} is {_kinds(given)}, expected {_kinds(wanted)}"
            return
        if self._direction == "response" and "null" in declared.kinds - expected.kinds:
            yield f"{place or 'the body'} may be null, expected {_kinds(wanted)}"
        yield from self._values(place, expected, declared)
        yield from self._fields(place, expected, declared, depth)
        if expected.items is not None and declared.items is not None:
            inner = (self._resolver.view(expected.items), self._resolver.view(declared.items))
            yield from self.of(f"{place}[]", *inner, depth + 1)

    def _fit(self, wanted: frozenset[str], given: frozenset[str]) -> bool:
        if self._direction == "request":
            return wanted <= given
        return given <= wanted if self._direction == "response" else bool(wanted & given)

    def _values(self, place: str, expected: View, declared: View) -> Iterator[str]:
        if len(expected.enum) < 2 or not declared.enum:
            return
        if self._direction != "response":
            for value in expected.enum:
                if value not in declared.enum:
                    yield f"{place} does not accept {value!r:.60}"
        if self._direction != "request":
            for value in declared.enum:
                if value not in expected.enum:
                    yield f"{place} may be {value!r:.60}, which is not expected"

    def _fields(self, place: str, expected: View, declared: View, depth: int) -> Iterator[str]:
        for name, schema in expected.properties.items():
            path = f"{place}.{name:.60}".lstrip(".")
            if name not in declared.properties:
                yield from () if declared.open else (f"missing field {path}",)
                continue
            yield from self._presence(path, name, expected, declared)
            inner = self._resolver.view(schema)
            other = self._resolver.view(declared.properties[name])
            yield from self.of(path, inner, other, depth + 1)

    def _presence(self, path: str, name: str, expected: View, declared: View) -> Iterator[str]:
        if expected.required is None or declared.required is None:
            return
        wanted, given = name in expected.required, name in declared.required
        if given and not wanted and self._direction != "response":
            yield f"{path} is required, expected optional"
        sent = self._direction == "response" and "default" in declared.properties[name]
        if wanted and not given and not sent and self._direction != "request":
            yield f"{path} is optional, expected required"


def _kinds(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds)) or "null"
