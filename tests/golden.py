"""Golden files: what is shown, kept as text; `UPDATE_GOLDENS=1` writes them anew."""

import os
from pathlib import Path


def check_golden(file: Path, text: str) -> None:
    """Compare with a golden file, or write it."""
    if os.environ.get("UPDATE_GOLDENS") == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8")
