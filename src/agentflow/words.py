"""Numbers with their nouns."""


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`, `3 batches`, `1,200 files`."""
    ending = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number:,} {noun}{ending}"
