"""Frozen records whose classes are quick to make.

`dataclass(frozen=True)` writes and compiles up to seven methods for each class: with some 150 of
them before the first request, a twentieth of the time until then. Here all classes share them; only
a class of which many are made gets an initializer of its own, which is five times as fast.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")

MANY = 100
"""Records of a class after which compiling an initializer pays: it takes as long as making so many."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """`@dataclass(frozen=True, slots=True)`, made, compared, hashed and shown in the same way."""
    made = dataclass(slots=True, init=False, eq=False, repr=False)(cls)
    methods: dict[str, Callable[..., object]] = {
        "__init__": _initializer(made),
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__setstate__": _restore,
        "__eq__": _equal,
        "__hash__": _hash,
        "__repr__": _shown,
    }
    for name, method in methods.items():
        if name != "__repr__" or name not in vars(cls):
            setattr(made, name, method)
    return made


def _initializer(made: Any) -> Callable[..., None]:
    """What makes a record of its values."""
    own = fields(made)
    called = f"{made.__qualname__}.__init__()"
    setters = {each.name: made.__dict__[each.name].__set__ for each in own}
    names = tuple(setters)
    defaults = {each.name: each.default for each in own if each.default is not MISSING}
    factories = {
        each.name: each.default_factory for each in own if each.default_factory is not MISSING
    }

    made_so_far = 0

    def initialize(self: object, *values: Any, **named: Any) -> None:
        nonlocal made_so_far
        made_so_far += 1
        if made_so_far == MANY:
            type.__setattr__(made, "__init__", _compiled(made))
        given = dict(zip(names, values, strict=False))
        if len(values) > len(names) or not named.keys().isdisjoint(given):
            raise TypeError(f"{called} got too many values, or one of them twice")
        given = {**defaults, **given, **named}
        for name, make in factories.items():
            if name not in given:
                given[name] = make()
        if given.keys() != setters.keys():
            wrong = ", ".join(sorted(given.keys() ^ setters.keys()))
            raise TypeError(f"{called} needs, or does not know: {wrong}")
        for name, value in given.items():
            setters[name](self, value)

    return initialize


def _compiled(made: Any) -> Callable[..., None]:
    """What `dataclass` would have written."""
    own = [(each.name, each.type, _declared(each)) for each in fields(made)]
    donor = type(
        made.__name__,
        (),
        {"__annotations__": {name: kind for name, kind, _ in own}}
        | {name: declared for name, _, declared in own},
    )
    written: Any = dataclass(frozen=True, eq=False, repr=False, match_args=False)(donor)
    written.__init__.__qualname__ = f"{made.__qualname__}.__init__"
    return written.__init__


def _declared(each: Field[Any]) -> Any:
    if each.default_factory is not MISSING:
        return field(default_factory=each.default_factory)
    return field() if each.default is MISSING else field(default=each.default)


def _refuse(self: object, name: str, value: object = None) -> None:
    raise FrozenInstanceError(f"cannot change field {name!r} of {type(self).__name__}")


def _restore(self: object, state: tuple[None, dict[str, object]]) -> None:
    for name, value in state[1].items():
        object.__setattr__(self, name, value)


def _compared(one: Any) -> tuple[Any, ...]:
    return tuple(getattr(one, each.name) for each in fields(one) if each.compare)


def _equal(self: object, other: object) -> bool:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _compared(self) == _compared(other)


def _hash(self: object) -> int:
    return hash(_compared(self))


def _shown(self: Any) -> str:
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{self.__class__.__qualname__}({', '.join(shown)})"
