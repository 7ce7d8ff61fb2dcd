"""PT: paths that lead out of the work tree."""

from tests.attacks.case import cases
from tests.attacks.place import CANARY, Place

NOT_RUN: dict[str, str] = dict.fromkeys(
    ("PT-09", "PT-13", "PT-25", "PT-26", "PT-27", "PT-28", "PT-29", "PT-30", "PT-31", "PT-32"),
    "no attack is written yet",
)


@cases({
    "PT-01": "../outside/c",
    "PT-02": "{outside}/c",
    "PT-03": "apps/api/../../../outside/c",
    "PT-04": "/proc/self/root{outside}/c",
    "PT-05": "/proc/1/root{outside}/c",
    "PT-06": "/proc/self/cwd/../outside/c",
    "PT-07": "/dev/fd/0",
    "PT-08": "{home}/.ssh/id_rsa",
    "PT-10": "/etc/shadow",
    "PT-11": "/proc/1/environ",
    "PT-12": "apps/api/\0../c",
})
async def reading_shows_nothing(place: Place, path: str) -> None:
    result = await place.tool("Read", file_path=place.path(path))

    assert result.is_error, result.content
    assert CANARY not in str(result.content)


@cases({
    "PT-14": "../outside/n",
    "PT-15": "{outside}/n",
    "PT-16": "apps/web/n.py",
    "PT-17": "apps/api/../web/n.py",
    "PT-18": "/etc/n",
    "PT-19": "/usr/n",
    "PT-20": "/proc/self/root{outside}/n",
    "PT-21": ".git",
    "PT-22": "tasks.md",
    "PT-23": "pyproject.toml",
    "PT-24": "apps/api/vendor/f.py",
})
async def writing_is_refused(place: Place, path: str) -> None:
    await place.tool("Read", file_path=place.path(path))
    result = await place.tool("Write", file_path=place.path(path), content="written\n")

    assert result.is_error, result.content
    assert "written" not in await place.output(f"cat -- '{place.path(path)}'")
    place.check_intact()
