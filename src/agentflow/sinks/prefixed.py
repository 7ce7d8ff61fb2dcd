"""Lines of several runs on one console: each begins with its task."""

from agentflow.sinks.printer import Printer, Span


class PrefixedPrinter:
    """A `Printer` whose lines say whose they are. No line is kept up to date: there are many."""

    def __init__(self, printer: Printer, name: str, width: int) -> None:
        """`width`: characters that all names are filled up to."""
        self._printer = printer
        self._prefix: Span = (f"{name:<{width}} | ", "dim")

    @property
    def width(self) -> int | None:
        """Columns that are left for a line."""
        whole = self._printer.width
        return None if whole is None else max(20, whole - len(self._prefix[0]))

    @property
    def live(self) -> bool:
        """Whether a person looks on."""
        return self._printer.live

    def print(self, *spans: str | Span, cut: bool = False) -> None:
        """Print a text, every line of it with the prefix."""
        line: list[Span] = []
        for text, style in ((span, "") if isinstance(span, str) else span for span in spans):
            first, *rest = text.split("\n")
            line.append((first, style))
            for each in rest:
                self._printer.print(self._prefix, *line, cut=cut)
                line = [(each, style)]
        self._printer.print(self._prefix, *line, cut=cut)

    def follow(self, frame: object) -> None:
        """Nothing is kept up to date."""
