"""Notes in memory."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Note:
    """One note."""

    id: int
    title: str
    text: str


class Store:
    """All notes, oldest first."""

    def __init__(self) -> None:
        self._notes: list[Note] = []

    def add(self, title: str, text: str) -> dict[str, object]:
        """Keep a note and return it."""
        note = Note(len(self._notes) + 1, title, text)
        self._notes.append(note)
        return asdict(note)

    def all(self) -> list[dict[str, object]]:
        """Return all notes."""
        return [asdict(note) for note in self._notes]
