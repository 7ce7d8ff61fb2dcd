"""SL: links, and mounts that would follow them."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from tests.attacks.case import case, cases
from tests.attacks.place import CANARY, Place

NOT_RUN: dict[str, str] = {}

FLIP = """
import os, shutil, sys
from contextlib import suppress
path, flips = sys.argv[1], 0
while True:
    try:
        os.rename(path, path + ".d"); os.symlink("../web", path); flips += 1
        os.unlink(path); os.rename(path + ".d", path)
    except OSError:
        with suppress(OSError):
            os.unlink(path) if os.path.islink(path) else shutil.rmtree(path)
            os.rename(path + ".d", path)
    if flips % 100 == 0:
        print(flips, flush=True)
"""
"""Runs on this machine at full speed: worse than any agent. A Write that finds no folder makes one, which
would end the flipping."""


@case("SL-01")
async def a_link_to_a_file_of_this_machine_leads_nowhere(place: Place) -> None:
    await place.output(f"ln -s {place.outside}/c apps/api/SL-01")
    result = await place.tool("Read", file_path="apps/api/SL-01")

    assert result.is_error, result.content
    assert f"{CANARY} " not in str(result.content)


@case("SL-02")
async def a_link_to_a_folder_of_this_machine_leads_nowhere(place: Place) -> None:
    await place.output(f"ln -s {place.outside} apps/api/SL-02")
    result = await place.tool("Write", file_path="apps/api/SL-02/n", content="written")

    assert result.is_error, result.content
    assert place.hidden in await place.output("echo x > apps/api/SL-02/n")
    place.check_intact()


@case("SL-03")
async def a_link_does_not_move_a_boundary(place: Place) -> None:
    said = await place.output("ln -s ../web apps/api/SL-03; echo written > apps/api/SL-03/f.py")
    result = await place.tool("Write", file_path="apps/api/SL-03/n.py", content="written")

    assert place.refused in said
    assert result.is_error, result.content
    assert await place.output("cat apps/web/f.py") == "x=1\n"


@cases({
    "SL-04": ("rm -r apps/api; ln -s web apps/api", "apps/api/"),
    "SL-05": ("rm -r src; ln -s /oldroot{outside} src", "src/deep/"),
})
async def a_boundary_behind_a_link_is_refused(place: Place, attack: tuple[str, str]) -> None:
    script, allow = attack
    async with place.another("link") as other:
        other.shell(other.path(script))
        other.project.task(f"allow: ['{allow}']")
        other.project.commit()

        bench = await other.bench()
        with pytest.raises(UsageError, match="symbolic link"):
            async with bench.agent_sandbox():
                pass
        other.check_intact()


@case("SL-06")
async def a_folder_that_became_a_link_refuses_the_next_session(place: Place) -> None:
    bench = await place.bench()
    async with bench.agent_sandbox():
        pass
    allowed = bench.tree / "apps/api"
    allowed.rename(bench.tree / "old")
    allowed.symlink_to("web")

    with pytest.raises(UsageError, match="symbolic link"):
        async with bench.agent_sandbox():
            pass


@case("SL-07")
async def a_link_that_flips_is_never_followed_out(place: Place) -> None:
    tree = await place.tree()
    await place.output("mkdir apps/api/SL-07")
    flipper = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FLIP, tree / "apps/api/SL-07", stdout=subprocess.PIPE
    )
    assert flipper.stdout
    try:
        await flipper.stdout.readline()
        for number in range(150):
            await place.tool("Write", file_path=f"apps/api/SL-07/{number % 7}", content="written")
    finally:
        flipper.kill()
    flips = [int(line) for line in (await flipper.stdout.read()).split()]
    await flipper.wait()

    assert max(flips, default=0) >= 100
    assert names(tree / "apps/web") == ["f.py"]


@case("SL-08")
async def a_forbidden_file_gets_no_second_name(place: Place) -> None:
    result = await place.bash("ln apps/web/f.py apps/api/SL-08")

    assert "Invalid cross-device link" in result["output"]


@case("SL-09")
async def nothing_is_renamed_across_a_boundary(place: Place) -> None:
    for command in (
        "mv apps/api apps/old",
        "mv -T apps/api apps/web",
        "mv apps/web/f.py apps/api/SL-09-f",
        "mv apps/api/vendor apps/api/SL-09-v",
        "mv .git apps/api/SL-09-g",
        "python3 -c \"import os; os.rename('apps/web', 'apps/api/SL-09')\"",
    ):
        result = await place.bash(command)
        assert result["exit_code"], command
        assert re.search(f"{place.refused}|busy|cross-device", result["output"]), result["output"]
    assert names(await place.tree() / "apps/web") == ["f.py"]


@case("SL-10")
async def no_file_of_the_clone_has_a_second_name(place: Place) -> None:
    bench = await place.bench()

    for folder in (bench.tree, bench.folder / "agent/git"):
        files = [Path(at, name) for at, _, names in os.walk(folder) for name in names]
        assert files
        assert [path for path in files if path.lstat().st_nlink != 1] == []


@case("SL-11")
async def mounts_stay_as_they_are(place: Place) -> None:
    for command in (
        "umount /workspace/apps/api/vendor",
        "umount -l /workspace",
        "mount -o remount,rw,bind /workspace",
        "mount --bind /tmp /workspace/apps/web",
        "mount -t tmpfs none /workspace/apps/web",
        "pivot_root . apps/api",
        "chroot . true",
    ):
        result = await place.bash(command)
        assert result["exit_code"], command
        assert "not found" not in result["output"]
    assert place.refused in await place.output("touch apps/web/SL-11")


@case("SL-12")
async def there_is_no_second_user_namespace(place: Place) -> None:
    for command in ("unshare -Urm true", "unshare -U true", "bwrap --ro-bind / / true"):
        result = await place.bash(f"{command}; test $? != 0")
        assert result["exit_code"] == 0, command
        assert "not found" not in result["output"]


def names(folder: Path) -> list[str]:
    """What a folder of this machine holds."""
    return sorted(path.name for path in folder.iterdir())
