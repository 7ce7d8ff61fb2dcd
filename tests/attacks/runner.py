"""The child process that attacks: reads the ids of cases, one a line, and answers how each ended.

Run as `python -m tests.attacks.runner FOLDER`, by a user that owns nothing else.
"""

import asyncio
import json
import os
import sys
import traceback
from pathlib import Path
from typing import TextIO

from tests.attacks.index import CASES
from tests.attacks.place import Place

PATIENCE = 60.0
"""Seconds that one case may take."""


async def serve(answers: TextIO, folder: Path) -> None:
    """Answer until the input ends. Cases of one back end share a place."""
    places: dict[str, Place] = {}
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            name, backend = json.loads(line)
            problem = await attack(name, backend, places, folder)
            print(json.dumps({"case": name, "problem": problem}), file=answers, flush=True)
    finally:
        for place in places.values():
            await place.close()


async def attack(name: str, backend: str, places: dict[str, Place], folder: Path) -> str:
    """Run one case; return what went wrong, empty if the product held."""
    try:
        if backend not in places:
            places[backend] = Place(backend, folder / backend)
        async with asyncio.timeout(PATIENCE):
            await CASES[name].attack(places[backend])
    except Exception:  # noqa: BLE001  (every way to fail is this case's, and the next one is served)
        return traceback.format_exc(limit=-8)
    return ""


def main() -> None:
    """Keep the answers' pipe from what the product prints."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        asyncio.run(serve(answers, Path(sys.argv[1])))


if __name__ == "__main__":
    main()
