"""PT: paths that lead out of the work tree."""

import asyncio
import re

from tests.attacks.case import case, cases
from tests.attacks.place import CANARY, Place

NOT_RUN: dict[str, str] = {}


@cases({
    "PT-01": "../outside/c",
    "PT-02": "{outside}/c",
    "PT-03": "apps/api/../../../outside/c",
    "PT-04": "/proc/self/root{outside}/c",
    "PT-05": "/proc/1/root{outside}/c",
    "PT-06": "/proc/self/cwd/../outside/c",
    "PT-07": "/dev/fd/0",
    "PT-08": "{home}/.ssh/id_rsa",
    "PT-09": "{root}/.orchestrator/runs/TASK-0/journal.jsonl",
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


@case("PT-13")
async def the_list_of_users_is_the_sandboxes(place: Place) -> None:
    read = await place.text("Read", file_path="/etc/passwd")
    rendered = (await place.plan(prompt_text="Read @/etc/passwd and @../../etc/passwd.")).rendered

    users = re.findall(r"^ *[0-9]+\t(\w+):", read, re.MULTILINE)
    assert users == ["agent", "nobody"], f"users: {', '.join(users)}"
    assert "root:" not in rendered.system + rendered.first_message


@case("PT-25")
async def a_file_outside_the_boundaries_cannot_be_edited(place: Place) -> None:
    await place.tool("Read", file_path="apps/web/f.py")
    result = await place.tool("Edit", file_path="apps/web/f.py", old_string="x=1", new_string="x=2")

    assert result.is_error, result.content
    assert await place.output("cat apps/web/f.py") == "x=1\n"


@case("PT-26")
async def globs_stay_in_the_tree(place: Place) -> None:
    own = (await place.inside(), await place.output("printf %s ${TMPDIR:-/tmp}"))
    for pattern, path in (
        ("../../**/*", None),
        ("/**", None),
        ("*", "/var/tmp"),
        ("**/c", str(place.folder)),
        ("**/id_rsa", None),
    ):
        text = await place.text("Glob", pattern=pattern, **({"path": path} if path else {}))
        for known in own if path is None else (*own, path):
            text = text.replace(known, "")
        assert not re.search(r"outside|id_rsa\n|agentflow-attacks", text), text


@case("PT-27")
async def searches_find_nothing_of_this_machine(place: Place) -> None:
    for path in (str(place.folder), str(place.home), "/var", "/home", "/root", "/run", "/etc"):
        text = await place.text("Grep", pattern=CANARY, path=path, output_mode="content")
        assert "token" not in text
        assert f"{CANARY} " not in text
    found = await place.text("Grep", pattern=CANARY, path="..", glob="{c,id_rsa,state.db,.netrc}")
    assert f"{CANARY} " not in found


@case("PT-28")
async def a_path_that_looks_like_an_option_is_a_path(place: Place) -> None:
    await place.output(
        "printf '#!/bin/sh\\ntouch apps/api/PT-28\\n' > apps/api/pre; chmod +x apps/api/pre"
    )
    for path in ("--pre=apps/api/pre", "--pre=./apps/api/pre", "-f/etc/passwd"):
        result = await place.tool("Grep", pattern="x", path=path)
        assert result.is_error, result.content
    await place.tool("Grep", pattern="--pre=apps/api/pre", path="apps")

    assert "No such file" in await place.output("ls apps/api/PT-28")


@case("PT-29")
async def a_configuration_for_the_search_program_is_ignored(place: Place) -> None:
    async with place.another("search") as other:
        other.project.write(
            ".orchestrator/config.toml",
            "[environment.agent.variables]\nRIPGREP_CONFIG_PATH = '/workspace/apps/api/rc'\n",
        )
        other.project.write("apps/api/rc", "--pre=/workspace/apps/api/pre\n")
        pre = other.project.write("apps/api/pre", '#!/bin/sh\ntouch "$0.was-run"; cat\n')
        pre.chmod(0o755)
        other.project.commit()

        found = await other.text("Grep", pattern="x=1", output_mode="content")
        assert "apps/web/f.py" in found
        said = await other.output("echo $RIPGREP_CONFIG_PATH; ls apps/api")
        assert f"{await other.inside()}/apps/api/rc" in said
        assert "was-run" not in said


@case("PT-30")
async def only_regular_files_are_read(place: Place) -> None:
    await place.output(
        'mkfifo apps/api/fifo; python3 -c "import socket; '
        "socket.socket(socket.AF_UNIX).bind('/tmp/socket')\"; ln -sf /tmp/socket apps/api/socket"
    )
    for path in ("apps/api/fifo", "apps/api/socket", "/dev/zero", "/dev/tty", "/dev/random"):
        async with asyncio.timeout(5):
            result = await place.tool("Read", file_path=path)
        assert result.is_error, path


@case("PT-31")
async def a_huge_file_is_read_in_part(place: Place) -> None:
    await place.output(
        "yes 0123456789abcdef | head -c 50000000 > /tmp/huge; head -c 50000000 /dev/zero | tr '\\0' a > /tmp/line"
    )

    for path in ("/tmp/huge", "/tmp/line"):
        for more in ({}, {"limit": 100_000_000}, {"offset": 2_000_000}):
            assert len(await place.text("Read", file_path=path, **more)) < 300_000
    await place.output("rm /tmp/huge /tmp/line")


@case("PT-32")
async def a_catastrophic_expression_ends(place: Place) -> None:
    await place.output("python3 -c \"print('a' * 1000000 + '!')\" > apps/api/a")

    for pattern in ("(a+)+$", "(a|aa)+$", "(.*a){25}"):
        async with asyncio.timeout(20):
            await place.tool("Grep", pattern=pattern, path="apps/api/a", multiline=True)
