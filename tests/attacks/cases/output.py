"""OU: text that commands a terminal, a CI system, a browser or a parser."""

import asyncio
import json
import os
import pty
import re
import sys
import unicodedata
from contextlib import suppress
from html.parser import HTMLParser
from itertools import cycle

from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.records import Json
from agentflow.tools import DEFAULT_TOOLS
from tests.attacks.case import case
from tests.attacks.place import Place
from tests.run.project import bash as call
from tests.run.project import turn

NOT_RUN: dict[str, str] = {}

EVIL = (
    "\x1b]0;owned\x07\x1b]8;;http://evil\x1b\\link\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1bPq\x1b\\\x9b2J"
    " a\u202eb\u200bc\U000e0041 [bold]b[/bold] [link=file:///x]l[/link] over\rwritten\n"
    "::set-output name=a::b\n  ::add-mask::x\n::stop-commands::x\n##[error]x\n##vso[task.x]y\n"
    "</code></pre></title></script><script>x</script><img src=x onerror=x> ' onclick='x \" onload=\"x"
    " <a href='javascript:x'>l</a> <!-- {{ 7 * 7 }} &lt;\n"
)
"""What no terminal, no log and no page may get."""
NAMES = (
    r"$'apps/api/-n\n::error::x' $'apps/api/\x1b[2Jn' $'apps/api/[bold]n' -- $'apps/api/--n' "
    r"$'apps/api/<img src=x onerror=x>'"
)
SCRIPT = {
    "turns": [
        turn(
            call("cat > /tmp/evil <<'EVIL'\n" + EVIL + "EVIL\ncat /tmp/evil"),
            call(f'for f in {NAMES}; do echo x > "$f"; done; git add -A; git commit -qF /tmp/evil'),
            text=EVIL,
        ),
        *[turn(text=EVIL)] * 2,
    ]
}


async def printed(place: Place, *options: str, **environment: str) -> tuple[str, str]:
    """What a run prints whose agent, gate and file names are hostile: on a terminal, and on
    standard output (where that is none)."""
    ours, theirs = pty.openpty()
    async with ScriptedServer(read_script(SCRIPT)) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "agentflow", "run", "TASK-1", "--fresh", "--verbose"),
            *("--base-url", server.url, "--prompt", "plain", "--sandbox", place.backend),
            *("--new-gate", "test=cat apps/api/f.py; git log -1 --format=%B; ls apps/api; false"),
            *options,
            cwd=place.project.root,
            env={
                **_environment(place),
                "TERM": "dumb",
                "AGENTFLOW_MAX_REPAIRS": "0",
                **environment,
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if options else theirs,
            stderr=theirs,
        )
        os.close(theirs)
        shown, output = await asyncio.gather(asyncio.to_thread(_read, ours), _rest(process.stdout))
        await process.wait()
    os.close(ours)
    return shown.decode("utf-8", "replace").replace("\r\n", "\n"), output.decode()


def _read(terminal: int) -> bytes:
    shown = b""
    with suppress(OSError):  # what a closed terminal says on Linux
        while piece := os.read(terminal, 4096):
            shown += piece
    return shown


async def _rest(stream: asyncio.StreamReader | None) -> bytes:
    return await stream.read() if stream else b""


async def agentflow(place: Place, *arguments: str) -> str:
    """What a command prints that reads what runs left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "agentflow", *arguments),
        cwd=place.project.root,
        env={**_environment(place), "TERM": "dumb"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors
    return output.decode()


def _environment(place: Place) -> dict[str, str]:
    return {
        **place.project.world.environment,
        "PYTHONPATH": os.environ["PYTHONPATH"],
        "XDG_CACHE_HOME": str(place.folder / "cache"),
        "LANG": "C.UTF-8",
    }


_shown: dict[str, str] = {}
_data: dict[str, tuple[str, str]] = {}


async def as_data(place: Place) -> tuple[str, str]:
    """What terminal and standard output get if data is asked for; one run for several cases."""
    if place.backend not in _data:
        _data[place.backend] = await printed(place, "--output-format", "json")
    return _data[place.backend]


async def on_a_terminal(place: Place) -> str:
    """What a terminal gets; one run for several cases."""
    if place.backend not in _shown:
        _shown[place.backend], _ = await printed(place)
    shown = _shown[place.backend]
    assert "link" in shown, shown
    assert "set-output" in shown
    return shown


@case("OU-01")
async def no_escape_reaches_the_terminal(place: Place) -> None:
    shown = await on_a_terminal(place)

    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown), ascii(shown)
    assert "owned" not in shown
    assert "ZXZpbA" not in shown


@case("OU-02")
async def no_command_reaches_the_log_of_a_ci_system(place: Place) -> None:
    shown, _ = await printed(
        place, "--output-format", "json", GITHUB_ACTIONS="true", FORCE_COLOR=""
    )

    lines = shown.splitlines()
    stop = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", lines[0])
    assert stop, lines[0]
    end = lines.index(f"::{stop[1]}::")
    # What follows are annotations of ours, one a line, every colon of their properties escaped.
    annotation = re.compile(r"::(error|warning|notice) [^:]*::.*")
    assert not [line for line in lines[end + 1 :] if not annotation.fullmatch(line)], lines[end:]
    assert not re.search(r"^\s*::|##(\[|vso)", "\n".join(lines[1:end]), re.MULTILINE), shown
    assert "::stop-commands" not in await on_a_terminal(place)


@case("OU-03")
async def no_invisible_character_reaches_the_terminal(place: Place) -> None:
    shown = await on_a_terminal(place)

    assert not [c for c in shown if unicodedata.category(c) in {"Cf", "Cs", "Co", "Zl", "Zp"}]
    assert "a\ufffdb\ufffdc\ufffd" in shown


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text, as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # pyright: ignore[reportImplicitOverride]
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:  # pyright: ignore[reportImplicitOverride]
        self.text += data

    def handle_comment(self, data: str) -> None:  # pyright: ignore[reportImplicitOverride]
        raise AssertionError(f"a comment: {data!r}")


@case("OU-04")
async def markup_is_text_on_a_page(place: Place) -> None:
    _, output = await as_data(place)
    page = await agentflow(place, "report", json.loads(output)["run"], "--output", "-")

    found = Elements(page)
    assert [tag for tag, _ in found.elements].count("script") == 1, page
    assert not [tag for tag, _ in found.elements if tag in {"img", "iframe", "object", "base"}]
    for tag, attributes in found.elements:
        assert not [
            name for name in attributes if name.startswith("on") or name in {"src", "style"}
        ]
        assert (attributes.get("href") or "#").startswith("#"), (tag, attributes)
    for said in ("<script>x</script>", "<img src=x onerror=x>", "{{ 7 * 7 }} &lt;", "link"):
        assert said in found.text, said
    assert not [
        c for c in page if unicodedata.category(c) in {"Cc", "Cf", "Co"} and c not in "\t\n"
    ]


@case("OU-05")
async def hostile_json_is_refused_and_not_fatal(place: Place) -> None:
    inputs = [
        '{"command": "echo \\u0000"}',
        '{"command": "true", "timeout": NaN}',
        '{"command": "true", "timeout": 1e999}',
        '{"command": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "[" * 100_000,
        '["a"]',
        '{"command": "true", "command": ["x"]}',
        "NaN",
    ]
    for command in ("echo \ud800", "echo \0"):
        assert (await place.tool("Bash", command=command)).is_error
    turns: list[Json] = [
        turn(*({"tool": t, "raw": i} for t, i in zip(cycle(DEFAULT_TOOLS), inputs, strict=False))),
        turn(),
    ]
    report = await place.run(turns, max_repairs=0)

    assert report["outcome"] == "failed", report
    assert report["num_turns"] == 2, report
    answer = place.project.requests[-1]["messages"][2]
    results = [block for block in answer["content"] if block["type"] == "tool_result"]
    assert len(results) == len(inputs)
    assert [bool(block.get("is_error")) for block in results] == [True] * len(inputs), results


OURS = re.compile(r"\x1b\[\??[0-9;]*[mKJAhlG]")
"""What our own lines may hold on a terminal with colours: styles, and where rows are drawn anew."""


@case("OU-06")
async def markup_of_the_console_library_is_text(place: Place) -> None:
    coloured, _ = await printed(place, TERM="xterm-256color", COLUMNS="500")

    assert OURS.search(coloured)
    shown = OURS.sub("", coloured)
    assert "[bold]b[/bold] [link=file:///x]l[/link]" in shown, shown
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", shown), ascii(shown)
    assert "owned" not in shown


@case("OU-07")
async def hostile_file_names_are_shown_safely(place: Place) -> None:
    shown, output = await as_data(place)

    assert r"'apps/api/-n\n::error::x'" in shown
    assert r"'apps/api/\x1b[2Jn'" in shown
    report = json.loads(output)
    assert report["outcome"] == "failed", report
    assert output.isascii()
    assert len(output.splitlines()) == 1
