"""The plan of tasks as a drawing: a column for each wave, and a line from whom a task waits for."""

from collections.abc import Sequence

from agentflow.details.board import TaskCard
from agentflow.frozen import record

BOX, GAP = (172, 44), (56, 14)
"""Width and height of a task, and of the space between two."""
MOST = 80
"""Tasks that are drawn; a longer plan is only listed."""


@record
class Box:
    """A task."""

    card: TaskCard
    x: int
    y: int


@record
class Graph:
    """A drawing in its own units; a page scales it."""

    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    """SVG paths."""
    width: int
    height: int


def draw_plan(cards: Sequence[TaskCard]) -> Graph | None:
    """The cards that have a wave; None if nothing waits for anything, or there are too many."""
    planned = [card for card in cards if card.wave]
    if not any(card.after for card in planned) or len(planned) > MOST:
        return None
    rows: dict[int, int] = {}
    boxes: dict[str, Box] = {}
    for card in planned:
        wave = card.wave or 1
        row = rows.get(wave, 0)
        rows[wave] = row + 1
        boxes[card.id] = Box(card, (wave - 1) * (BOX[0] + GAP[0]) + 2, row * (BOX[1] + GAP[1]) + 2)
    lines = tuple(
        _line(boxes[name], boxes[card.id])
        for card in planned
        for name, _ in card.after
        if name in boxes
    )
    width = max(rows) * (BOX[0] + GAP[0]) - GAP[0] + 4
    height = max(rows.values()) * (BOX[1] + GAP[1]) - GAP[1] + 4
    return Graph(tuple(boxes.values()), lines, width, height)


def _line(before: Box, after: Box) -> str:
    x1, y1 = before.x + BOX[0], before.y + BOX[1] // 2
    x2, y2 = after.x, after.y + BOX[1] // 2
    bend = (x2 - x1) // 2
    return f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
