"""The results of one turn, bounded before they become a message. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from agentflow.context import media
from agentflow.messages import ToolResult

TURN_MEDIA = 14_000_000
"""The same for the results of one turn: they are one line of the journal (`journal.MAX_LINE`)."""
TURN_TEXT = 400_000
"""Characters of the texts of one turn; at most a quarter of a small window."""


def within_turn(results: Sequence[tuple[ToolResult, bool]], window: int | None) -> list[ToolResult]:
    """The results of one turn, bounded: what does not fit beside those before it is an error that
    says how to ask again. Each comes with whether its call can be repeated; other texts are bounded
    by their tools, and stay.
    """
    most = TURN_TEXT if window is None else min(TURN_TEXT, window)
    text, carried, bounded = 0, 0, list[ToolResult]()
    for result, repeatable in results:
        characters = len(result.content) if isinstance(result.content, str) else 0
        heavy = media(result.content)
        if heavy and carried + heavy > TURN_MEDIA:
            bounded.append(_not_shown(result, "images and documents of one turn are too large"))
        elif repeatable and text + characters > most:
            bounded.append(_not_shown(result, f"the results of one turn have {most:,} characters"))
        else:
            text += characters
            carried += heavy
            bounded.append(result)
    return bounded


def _not_shown(result: ToolResult, reason: str) -> ToolResult:
    advice = "Ask again on its own, or for less: a narrower pattern, or `offset` and `limit`."
    return replace(result, content=f"Not shown: {reason}. {advice}", is_error=True)
