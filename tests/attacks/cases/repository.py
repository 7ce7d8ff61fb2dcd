"""GT: git as a way out of the sandbox or into the user's repository."""

import asyncio

from agentflow.events import CheckpointMade
from tests.attacks.case import case, cases
from tests.attacks.place import CANARY, Place, bash
from tests.run.project import bash as call
from tests.run.project import turn

NOT_RUN: dict[str, str] = {}

HOSTILE = """
g=$(git rev-parse --git-dir); mkdir -p $g/hooks $g/info; E='echo p > {outside}/p'
for hook in pre-commit post-commit post-checkout reference-transaction post-index-change pre-push; do
  printf "#!/bin/sh\\n$E\\n" > $g/hooks/$hook; chmod +x $g/hooks/$hook
done
git config core.hooksPath $g/hooks; git config core.fsmonitor "$E; false"
git config core.pager "$E"; git config core.editor "$E"; git config core.sshCommand "$E"
git config core.alternateRefsCommand "$E"; git config credential.helper "!$E"
git config uploadpack.packObjectsHook "$E"; git config diff.external "$E"; git config gpg.program "$E"
git config filter.evil.clean "$E; cat"; git config filter.evil.smudge "$E; cat"
git config alias.status "!$E"
echo '* filter=evil diff=evil' > $g/info/attributes
echo x > apps/api/GT; git commit -qam x 2>/dev/null; true
"""


@case("GT-01")
async def the_pointer_stays(place: Place) -> None:
    whole = await place.bench(allow=["**"])
    async with whole.agent_sandbox() as sandbox:
        for kind, each, tree in (
            ("boundaries", await place.sandbox(), await place.tree()),
            ("everything allowed", sandbox, whole.tree),
        ):
            pointer = (tree / ".git").read_text()
            for command in ("rm -f .git", "mv .git x", "echo x > .git", "ln -sf x .git"):
                assert (await bash(each, command))["exit_code"], f"{kind}: {command}"
            assert (tree / ".git").read_text() == pointer


@case("GT-02")
async def a_hostile_configuration_runs_nothing_here(place: Place) -> None:
    bench = await place.bench()
    async with bench.agent_sandbox() as sandbox:
        result = await bash(sandbox, place.path(HOSTILE))
    assert result["exit_code"] == 0, result["output"]

    candidate = await bench.collect(place.authorship)
    assert candidate.violations == ()
    async with bench.checkout(candidate.tip) as sandbox:
        assert (await bash(sandbox, "git status; git log -1"))["exit_code"] == 0
    place.check_intact()

    # A whole run makes checkpoints of the same clone, too.
    place.project.events.clear()
    await place.run([turn(call(place.path(HOSTILE))), turn()], max_repairs=0)
    assert [each for each in place.project.events if isinstance(each, CheckpointMade)]
    place.check_intact()


@case("GT-03")
async def git_in_the_work_tree_finds_nothing(place: Place) -> None:
    bench = await place.bench()
    async with bench.agent_sandbox() as sandbox:
        await bash(sandbox, place.path(HOSTILE))

    said = place.shell(f"cd {bench.tree}; git status 2>&1 || true")
    assert "not a git repository: /run/agentflow/git" in said
    place.check_intact()


@case("GT-04")
async def the_users_objects_stay(place: Place) -> None:
    said = await place.output(
        "cd $(head -n 1 $(git rev-parse --git-dir)/objects/info/alternates) && ls && "
        "for f in */*; do chmod +w $f; echo g > $f; rm -f $f; done"
    )

    assert said.count(place.refused) > 20
    assert place.project.git("fsck", "--strict") == ""


@case("GT-05")
async def the_users_git_folder_is_not_visible(place: Place) -> None:
    root = place.project.root
    result = await place.bash(f"cat {root}/.git/config {root}/.git/HEAD; ls {root}")
    found = await place.output(
        f"grep -rl {CANARY}-configuration /run /workspace /etc /home /tmp 2>/dev/null; "
        "ls /run/agentflow/objects/0/../hooks /run/agentflow/objects/*"
    )

    assert result["output"].count(place.hidden) == 3
    assert CANARY not in found
    assert "refs" not in found


@cases({
    "GT-06": (
        "git update-ref HEAD $(git commit-tree HEAD^{tree} -m orphan)",
        "history was rewritten: the result does not descend from the base",
    ),
    "GT-07": (
        "b=$(echo x | git hash-object -w --stdin); "
        "t=$(printf '100644 blob %s\\tconfig\\n' $b | git mktree); "
        "t=$(printf '040000 tree %s\\t.git\\n' $t | git mktree); "
        "c=$(git commit-tree $t -p HEAD -m dotgit); "
        "git update-ref HEAD $(git commit-tree HEAD^{tree} -p $c -m clean)",
        "git refuses the exported objects",
    ),
    "GT-09": (
        "truncate -s 11M apps/api/zeros; git add -A; git commit -qm big",
        "has 11534336 bytes; at most",
    ),
})
async def the_import_refuses(place: Place, attack: tuple[str, str]) -> None:
    command, reason = attack
    candidate = await place.imported(command)

    assert [v for v in candidate.violations if reason in v], candidate.violations
    assert (candidate.tip, candidate.commits) == (candidate.base, ())
    assert place.project.git("fsck", "--strict") == ""


@case("GT-08")
async def objects_are_taken_as_they_are(place: Place) -> None:
    candidate = await place.imported(
        "echo x > apps/api/GT-08; git add -A; git commit -qm x; git replace HEAD HEAD~1; "
        "g=$(git rev-parse --git-dir); mkdir -p $g/info; git rev-parse HEAD > $g/info/grafts; "
        "echo /etc >> $g/objects/info/alternates"
    )

    assert candidate.violations == ()
    assert [c.path for commit in candidate.commits for c in commit.changes] == ["apps/api/GT-08"]


@case("GT-10")
async def transports_and_helpers_reach_nothing(place: Place) -> None:
    reached: list[asyncio.StreamReader] = []

    def reach(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        reached.append(reader)

    server = await asyncio.start_server(reach, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for command in (
        f"git ls-remote git://127.0.0.1:{port}/a.git",
        f"git ls-remote http://127.0.0.1:{port}/a.git",
        "git -c core.sshCommand='env >&2; false' ls-remote ssh://git@github.com/a/b",
        "git -c protocol.ext.allow=always ls-remote 'ext::sh -c env>&2%20'",
        "git ls-remote --upload-pack='env >&2; false' .",
        "printf 'protocol=https\\nhost=github.com\\n' | git -c credential.helper=store credential fill",
        f"git clone {place.project.root} /tmp/GT-10",
    ):
        result = await place.bash(command)
        assert result["exit_code"], command
        assert CANARY not in result["output"], result["output"]
    server.close()
    assert reached == []
    place.check_intact()


@case("GT-11")
async def an_honest_commit_is_taken(place: Place) -> None:
    candidate = await place.imported(
        "echo y=1 > apps/api/y.py; git add -A; git commit -qm 'feat: y'"
    )

    assert candidate.violations == ()
    assert [(c.subject, c.changes[0].path) for c in candidate.commits] == [
        ("feat: y", "apps/api/y.py")
    ]
