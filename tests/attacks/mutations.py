"""Drop each protection of the product in turn, and see which attacks then succeed.

`scripts/attack-mutations [WORD…]` works on a copy of the source, tree by tree, prints a Markdown
table and ends with 1 if a protection has no red case, or an edit no longer fits the source. A
protection that has a twin is dropped together with it. The PID namespace is never dropped: a
`kill -9 -1` would reach the neighbours.
"""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.attacks.attacker import attacker
from tests.attacks.index import CASES
from tests.attacks.surroundings import PROJECT


@dataclass(frozen=True, slots=True)
class Edit:
    """One textual edit of a file beneath `src/agentflow`; the text stands there exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """A protection, how it is dropped, and the cases that are tried."""

    protection: str
    edits: tuple[Edit, ...]
    cases: tuple[str, ...]


BWRAP = "sandbox/bubblewrap.py"
HOSTS = "sandbox/hosts.py"
PROXY = "sandbox/proxy.py"
IMPORTER = "workspace/importer.py"
NO_SECCOMP = Edit(
    BWRAP,
    '        *("--seccomp", descriptors.data(assemble(unix_sockets=not policy.network.host))),\n',
    "",
)


def one(protection: str, file: str, old: str, new: str, *cases: str) -> Mutation:
    """A protection that one edit drops."""
    return Mutation(protection, (Edit(file, old, new),), cases)


MUTATIONS = (
    one(
        "work tree read-only but for the boundaries", "sandbox/tree.py",
        'writable="." in policy.writable', "writable=True",
        "PT-16", "PT-17", "PT-22", "PT-23", "PT-25", "SL-03", "SL-07", "BD-02", "BD-03", "BD-04",
        "FG-03",
    ),
    one(
        "denied folders read-only in allowed ones", "sandbox/tree.py",
        "(*policy.protected, \".git\")", '(".git",)', "PT-24", "BD-06",
    ),
    one(
        "pointer to git read-only", "sandbox/tree.py",
        "(*policy.protected, \".git\")", "policy.protected", "GT-01", "PT-21",
    ),
    one(
        "boundaries opened without following links", "sandbox/mountpoints.py",
        "_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC", "_STEP = os.O_PATH | os.O_CLOEXEC",
        "SL-04", "SL-05", "SL-06",
    ),
    Mutation(
        "system call filter", (NO_SECCOMP,),
        ("EN-05", "NW-05", "PR-13", "PR-15"),
    ),
    Mutation(
        "no new user namespace (option and filter)",
        (
            NO_SECCOMP,
            Edit(BWRAP, '"--disable-userns", "--assert-userns-disabled", ', ""),
        ),
        ("SL-12",),
    ),
    one(
        "network namespace", BWRAP, 'return ("--unshare-net",)', "return ()",
        "NW-01", "NW-02", "NW-04", "GT-10",
    ),
    one(
        "sockets of this machine not shown", "sandbox/tree.py", "    if found:\n        raise Env",
        "    if False:\n        raise Env", "NW-03",
    ),
    one(
        "proxy: hosts on the list only", PROXY, "if not permits(self._rules, host, port):", "if False:",
        "NW-06..23",
    ),
    one(
        "proxy: ports of the list only", HOSTS,
        "if port != self.port and (self.port is not None or port not in WEB_PORTS):", "if False:",
        "NW-06..23",
    ),
    one(
        "proxy: wildcards begin at a dot", HOSTS, 'host.endswith(f".{self.host}") if self.below',
        "host.endswith(self.host) if self.below", "NW-06..23",
    ),
    one(
        "proxy: no name leads to private addresses", HOSTS,
        "return any(not rule.below and rule.matches(str(parsed), port) for rule in rules)",
        "return True", "NW-06..23",
    ),
    Mutation(
        "proxy: hosts strictly written (in requests, and as names)",
        (
            Edit(
                "sandbox/proxy_request.py", "    if match is None or port is None",
                "    match = match or re.fullmatch(r'(.*):([0-9]+)', written.decode('latin-1'))\n"
                "    port = int(match[2]) if match else None\n    if match is None or port is None",
            ),
            Edit(HOSTS, "    if not _NAME.fullmatch(name):\n", "    if False:\n"),
        ),
        ("NW-06..23",),
    ),
    one(
        "proxy: names that are addresses of the C library refused", HOSTS,
        r"(?!\d+\Z|0x[0-9a-f]*\Z)", "", "NW-06..23",
    ),
    one(
        "proxy: TLS asks for a name on the list", PROXY,
        "    elif not permits(rules, opening.name, request.port):\n", "    elif False:\n", "NW-06..23",
    ),
    one(
        "proxy: uploads bounded", "sandbox/traffic.py", "        if size <= self.left:\n",
        "        if True:\n", "NW-24",
    ),
    one(
        "proxy: connections told", "sandbox/traffic.py", "            self.traffic.emit(closed)\n",
        "            pass\n", "NW-06..23", "NW-24",
    ),
    one(
        "toolbox not dumpable", "toolbox/processes.py",
        "libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)", "libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)",
        "EN-04", "PR-18",
    ),
    Mutation(
        "environment emptied (before bubblewrap, by it, and no reaper of its)",
        (
            Edit(BWRAP, '"--new-session", "--cap-drop", "ALL", "--clearenv")', '"--new-session", "--cap-drop", "ALL")'),
            Edit(BWRAP, 'environment={"PATH": "/usr/bin:/bin"}', "environment=dict(os.environ)"),
        ),
        ("EN-01", "PT-11"),
    ),
    one(
        "everything killed after a command", "toolbox/ending.py",
        "        _kill_everything()\n        time.sleep(0.001)\n\n\ndef _reap", "        return\n\n\ndef _reap",
        "PR-02",
    ),
    Mutation(
        "sandbox dies with agentflow (option and end of input)",
        (
            Edit(BWRAP, '*("--die-with-parent", ', "*("),
            Edit(
                "toolbox/server.py",
                "        processes.stop()\n        os._exit(0)\n\n\ndef _handle_signals",
                "        threading.Event().wait()\n\n\ndef _handle_signals",
            ),
        ),
        ("PR-16",),
    ),
    one(
        "root directory remounted read-only", BWRAP, '*("--remount-ro", "/", "--chdir", WORKSPACE)',
        '*("--chdir", WORKSPACE)', "PR-11", "PR-11b",
    ),
    one(
        "devices remounted read-only", BWRAP, '    yield from ("--remount-ro", "/dev")\n', "",
        "PR-11", "PR-11b",
    ),
    one(
        "/proc remounted read-only", BWRAP, '"--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"',
        '"--proc", "/proc", "--dev", "/dev"', "PR-11b",
    ),
    one(
        "shared memory sized", BWRAP, '"--size", str(SHARED_MEMORY_SIZE), ', "", "PR-11",
    ),
    one("scratch folder sized", BWRAP, '"--size", str(policy.scratch_size), ', "", "PR-11"),
    one("home folder sized", BWRAP, '"--size", str(policy.home_size), ', "", "PR-11"),
    one(
        "size of one file limited", "toolbox/processes.py",
        '    _limit(resource.RLIMIT_FSIZE, limits.get("file_size"))\n', "", "PR-09",
    ),
    one(
        "number of processes limited", "toolbox/processes.py",
        "_limit(resource.RLIMIT_NPROC, ", "(lambda *_: None)(resource.RLIMIT_NPROC, ", "PR-05",
    ),
    one(
        "list of users is the sandbox's", BWRAP,
        "    for name, content in SYNTHETIC_FILES.items():\n",
        '    yield from ("--ro-bind", "/etc", "/etc")\n    for name, content in ():\n', "PT-13",
    ),
    one(
        "import: history", IMPORTER, 'if not state.succeeds("merge-base", "--is-ancestor", base, head):',
        "if False:", "GT-06",
    ),
    one(
        "import: nested repositories", IMPORTER, "    if change.mode == _GITLINK:\n",
        "    if False:\n", "BD-12",
    ),
    one(
        "import: links", IMPORTER, "    if change.mode != _SYMLINK:\n", "    if True:\n", "BD-12",
    ),
    one(
        "import: size of files", IMPORTER, "if size > limit else None", "if False else None", "GT-09",
    ),
    one(
        "import: boundaries", IMPORTER, "                violation(boundaries, change.path)\n",
        "                None\n", "BD-05", "BD-07", "BD-08", "BD-09", "BD-11", "FG-03",
    ),
    one(
        "import: every commit, not only the last", IMPORTER,
        "    for commit in walked:\n        place =",
        "    for commit in [*walked[:0], Commit(walked[-1].sha, walked[-1].tree, (base,), \"\", "
        "changes_between(state, base, walked[-1].tree))] if walked else []:\n        place =",
        "BD-08",
    ),
    one(
        "import: files that others obey", "boundaries.py", "    for glob in PROTECTED:\n        if _covers",
        "    for glob in ():\n        if _covers", "BD-11", "BD-10",
    ),
    one(
        "import: invisible characters in names", "boundaries.py", "    return _unprintable(path)\n",
        "    return None\n", "BD-09", "OU-07",
    ),
    one(
        "import: strict index", "workspace/export.py", '"--stdin", "--strict", ', '"--stdin", ', "GT-07",
    ),
    one(
        "pointer leads nowhere on this machine", "workspace/clone.py",
        "f\"gitdir: {GIT_INSIDE if mounted else git_dir}\\n\"", 'f"gitdir: {git_dir}\\n"',
        "GT-03",
    ),
    one(
        "forgeable trailers dropped",
        "workspace/recreate.py",
        "with_trailers(clean_message(commit.message), authorship.trailers)",
        "with_trailers(commit.message, authorship.trailers)",
        "FG-11",
    ),
    one(
        "gates judge with the base's tests too", "gates/build.py", "        if not touched:\n",
        "        if True:\n", "FG-04", "FG-05", "FG-09",
    ),
    one(
        "no result without a change", "gates/commit.py", "        if not candidate.files_changed:\n",
        "        if False:\n", "FG-01", "FG-02",
    ),
    one(
        "neutral text: escapes and characters", "neutral.py", '    text = _ESCAPES.sub("", text)\n    text = "".join(\n        character\n',
        '    return text\n    text = "".join(\n        character\n', "OU-01", "OU-02", "OU-03",
    ),
    one(
        "neutral text: commands to a CI system", "neutral.py",
        "    return _COMMANDS.sub(lambda found: f\"{found[1] or ''}{found[0][-1]} \", text)\n",
        "    return text\n", "OU-02",
    ),
    one(
        "commands of the CI system stopped around a run", "cli/execution.py",
        "    with commands_stopped(world.environment):\n", "    if True:\n", "OU-02",
    ),
    one("markup escaped", "neutral.py", "return html.escape(neutral(text))", "return neutral(text)", "OU-04"),
    one(
        "console library's markup off", "sinks/printer.py", "text = Text.assemble(*spans)",
        'text = Text.from_markup("".join(s if isinstance(s, str) else s[0] for s in spans))', "OU-06",
    ),
    one(
        "foreign pull requests refused", "plan.py",
        "    check_event(world.environment, allowed=settings.allow_foreign_head)\n", "", "TP-09",
    ),
    one(
        "aliases in YAML refused", "frontmatter.py", "if self.check_event(yaml.AliasEvent):", "if False:", "TP-03",
    ),
    one(
        "templates rendered under limits", "prompts/template_child.py", "    limit()\n    try:", "    try:", "TP-02",
    ),
    one(
        "search program without a configuration", "toolbox/searching.py", "--no-config --color=never",
        "--color=never", "PT-29",
    ),
    one(
        "files opened without waiting", "toolbox/files.py",
        "os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY", "os.O_RDONLY | os.O_NOCTTY", "PT-30",
    ),
)  # fmt: skip


def main(words: list[str]) -> int:
    """Try the mutations whose protection holds one of the words, all without; print the table."""
    print("| dropped | red |\n|---|---|", flush=True)  # noqa: T201  (what the script is for)
    bare = False
    for mutation in MUTATIONS:
        if words and not any(word in mutation.protection for word in words):
            continue
        red = tried(mutation)
        bare = bare or not red
        print(f"| {mutation.protection} | {', '.join(red) or '**none**'} |", flush=True)  # noqa: T201
    return int(bare)


def tried(mutation: Mutation) -> list[str]:
    """The cases that fail without the protection."""
    with tempfile.TemporaryDirectory(prefix="agentflow-mutation-", dir="/var/tmp") as name:
        project = Path(name)
        project.chmod(0o755)
        for part in ("src", "tests", "prompts"):
            shutil.copytree(PROJECT / part, project / part)
        for edit in mutation.edits:
            file = project / "src/agentflow" / edit.file
            text = file.read_text("utf-8")
            if text.count(edit.old) != 1:
                sys.exit(f"{mutation.protection}: {edit.file} does not hold {edit.old!r} once")
            file.write_text(text.replace(edit.old, edit.new), "utf-8")
        with attacker(project, lenient=True) as child:
            known = [case for case in mutation.cases if case in CASES]
            return [case for case in known if child.attack(case)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
