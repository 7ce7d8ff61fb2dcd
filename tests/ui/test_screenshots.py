"""`scripts/screenshots`: every picture of the documentation is made, and shows something."""

import subprocess
import zlib
from pathlib import Path

import pytest

from tests.needs import need

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "docs/images"
SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("chromium")
    folder = tmp_path_factory.mktemp("pictures")
    subprocess.run([ROOT / "scripts/screenshots", folder], check=True, timeout=240)
    return folder


def chunks(picture: bytes) -> list[tuple[bytes, bytes]]:
    """The names and contents of a PNG's parts."""
    assert picture.startswith(SIGNATURE)
    found: list[tuple[bytes, bytes]] = []
    place = len(SIGNATURE)
    while place < len(picture):
        size = int.from_bytes(picture[place : place + 4])
        found.append((picture[place + 4 : place + 8], picture[place + 8 : place + 8 + size]))
        place += size + 12
    return found


def seen(file: Path) -> tuple[bytes, int]:
    """A picture's size and form, and how many bytes differ from what a PNG foretells: a page of one
    colour has a few in each line at most."""
    parts = chunks(file.read_bytes())
    pixels = zlib.decompress(b"".join(data for name, data in parts if name == b"IDAT"))
    return parts[0][1], len(pixels) - pixels.count(0)


def test_each_picture_is_made_and_none_is_blank(made: Path) -> None:
    names = {path.name for path in KEPT.iterdir()}
    assert {path.name for path in made.iterdir()} == names
    for name in sorted(name for name in names if name.endswith(".png")):
        (form, ink), (kept_form, kept_ink) = seen(made / name), seen(KEPT / name)
        assert form == kept_form, name
        assert ink > kept_ink / 2, f"{name} shows much less than the one that is kept"
    for name in sorted(name for name in names if name.endswith(".svg")):
        same = (made / name).read_bytes() == (KEPT / name).read_bytes()
        assert same, f"{name} is not what is shown now: scripts/screenshots writes it anew"
