"""Records behave as the frozen dataclasses that they are."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, dataclass, field, replace
from typing import Any

import pytest

from agentflow.frozen import MANY, record


@record
class Point:
    """A record."""

    x: int
    y: int = 0
    secret: str = field(default="", repr=False)
    note: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Plain:
    """The same, as the standard library makes it."""

    x: int
    y: int = 0
    secret: str = field(default="", repr=False)
    note: str = field(default="", compare=False)


@record
class Other:
    """The same fields, and another record."""

    x: int
    y: int = 0


def test_it_is_compared_and_hashed_by_its_compared_fields() -> None:
    assert Point(1, 2) == Point(1, 2, note="n")
    assert hash(Point(1, 2)) == hash(Point(1, 2, note="n")) == hash(Plain(1, 2))
    assert Point(1, 2) != Point(1, 3)
    assert Point(1, 2) != Point(1, 2, "s")


def test_another_class_is_never_equal() -> None:
    one: object = Point(1, 2)
    assert one != Other(1, 2)
    assert one != (1, 2)


def test_it_is_shown_without_hidden_fields() -> None:
    assert repr(Point(1, 2, "hunter2")) == "Point(x=1, y=2, note='')"
    assert repr(Plain(1, 2, "hunter2")) == "Plain(x=1, y=2, note='')"


def test_it_cannot_be_changed_and_gives_new_ones() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2  # pyright: ignore[reportAttributeAccessIssue]
    assert not hasattr(point, "__dict__")
    assert replace(point, x=2) == Point(2)
    assert asdict(point) == {"x": 1, "y": 0, "secret": "", "note": ""}
    match point:
        case Point(x, y):
            assert (x, y) == (1, 0)


@record
class Basket:
    """With a default that is made."""

    owner: str
    items: list[int] = field(default_factory=list[int])


def test_the_first_is_made_like_all_others() -> None:
    first, second = Basket("me"), Basket(owner="me", items=[1])
    first.items.append(1)
    assert first == second
    assert Basket("me").items == []


@pytest.mark.parametrize(
    "point",
    [
        lambda: Point(),  # pyright: ignore[reportCallIssue]
        lambda: Point(1, colour=2),  # pyright: ignore[reportCallIssue]
        lambda: Point(1, x=1),  # pyright: ignore[reportCallIssue]
        lambda: Point(1, 2, "", "", 5),  # pyright: ignore[reportCallIssue]
    ],
)
def test_wrong_arguments_are_refused(point: Callable[[], Point]) -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match=r"^Point\.__init__\(\) "):
            point()


@record
class Short:
    """Shown in its own way."""

    x: int

    def __repr__(self) -> str:  # pyright: ignore[reportImplicitOverride]
        return f"<{self.x}>"


def test_a_record_may_be_shown_in_its_own_way() -> None:
    assert repr(Short(1)) == "<1>"
    assert Short(1) == Short(1)


def test_the_many_are_made_like_the_few() -> None:
    @record
    class Often:
        """Made often."""

        x: int
        items: list[int] = field(default_factory=list[int])
        y: int = 7

    shared = Often.__init__
    made = [Often(number, y=number) for number in range(MANY + 2)]
    assert Often.__init__ is not shared
    assert [(each.x, each.items, each.y) for each in made] == [
        (number, [], number) for number in range(MANY + 2)
    ]
    assert Often(1) == Often(x=1, items=[], y=7)
    assert Often(1).items is not Often(1).items
    assert replace(made[-1], x=0).y == MANY + 1
    with pytest.raises(FrozenInstanceError):
        made[-1].x = 2  # pyright: ignore[reportAttributeAccessIssue]
    wrongs: list[dict[str, Any]] = [{}, {"x": 1, "colour": 2}]
    for wrong in wrongs:
        with pytest.raises(TypeError, match=r"Often\.__init__\(\) "):
            Often(**wrong)


def test_nothing_can_be_deleted() -> None:
    with pytest.raises(FrozenInstanceError, match="cannot change field 'x' of Point"):
        del Point(1).x  # pyright: ignore[reportAttributeAccessIssue]


def test_copies_are_equal() -> None:
    basket = Basket("me", [1])
    assert copy.copy(basket).items is basket.items
    assert copy.deepcopy(basket) == pickle.loads(pickle.dumps(basket)) == basket
    assert copy.deepcopy(basket).items is not basket.items
