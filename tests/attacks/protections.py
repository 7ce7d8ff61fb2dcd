"""The product's protections, each with the edit of the source that drops it and what should notice.

A protection that has a twin is dropped together with it; one that no attack of the catalogue meets
is tried by tests of the suite. The PID namespace is never dropped: a `kill -9 -1` would reach the
neighbours; what Landlock holds is tried inside the outer one.
"""

from dataclasses import dataclass


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
    cases: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    """What pytest is given: files, and tests by `-k`."""


BWRAP = "sandbox/bubblewrap.py"
HOSTS = "sandbox/hosts.py"
PROXY = "sandbox/proxy.py"
IMPORTER = "workspace/importer.py"
KEEPER = "toolbox/landlock.py"
TRIALS = ("tests/sandbox/test_landlock.py",)
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
        ("EN-05", "NW-05", "PR-15"),
    ),
    Mutation(
        "no terminal (of sandbox and command), and nothing typed into one (filter)",
        (
            NO_SECCOMP,
            Edit(BWRAP, '"--die-with-parent", "--new-session", ', '"--die-with-parent", '),
            Edit("toolbox/processes.py", "            start_new_session=True,\n", ""),
            Edit("sandbox/channel.py", "start_new_session=True,", "start_new_session=False,"),
        ),
        ("PR-13",),
    ),
    one(
        "own shared memory and queues", BWRAP, '"--unshare-pid", "--unshare-ipc", ', '"--unshare-pid", ',
        "EN-07",
    ),
    Mutation(
        "own host name",
        (
            Edit(BWRAP, ', "--unshare-uts"),', "),"),
            Edit(BWRAP, ', "--hostname", "sandbox"),', "),"),
        ),
        ("EN-07",),
    ),
    one(
        "objects of the user read-only", "policies.py",
        "*(Mount(store, target) for target, store in stores.items()),",
        "*(Mount(store, target, True) for target, store in stores.items()),", "GT-04",
    ),
    one(
        "a command has its time", "toolbox/shell.py",
        "while (left := deadline - time.monotonic()) > 0:",
        "while (left := deadline + 60 - time.monotonic()) > 0:",
        "PR-01",
    ),
    one(
        "a command's output is bounded", "toolbox/shell.py",
        "        if output.total > OUTPUT_BYTES:\n", "        if False:\n", "PR-08",
    ),
    one(
        "values of secrets taken out", "redaction.py",
        "    return lambda text: pattern.sub(MARK, text)\n", "    return lambda text: text\n",
        "EN-08", "EN-09",
    ),
    one(
        "markers in git are not ours", "admission.py",
        'if plan.repository.tracks(path) or (marker.parent / ".git").exists():', "if False:", "TP-06",
    ),
    one(
        "a repository sets what it may", "settings.py",
        "        if own or key != name:\n", "        if False:\n", "TP-04",
    ),
    one(
        "turns are bounded", "budget.py",
        '    Limit("max_turns", "turns", "Raise it with --max-turns.", lambda s: s.turns),\n', "",
        "FG-12",
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
    Mutation(
        "number of processes limited (watchdog and kernel)",
        (
            Edit("toolbox/processes.py", "_limit(resource.RLIMIT_NPROC, ", "(lambda *_: None)(resource.RLIMIT_NPROC, "),
            Edit("toolbox/watchdog.py", "if most is not None and sum(", "if False and sum("),
        ),
        ("PR-05",),
    ),
    one(
        "memory limited", "toolbox/watchdog.py", "        if memory is None:\n",
        "        if True:\n", "PR-07",
    ),
    one(
        "growth of disks limited", "toolbox/watchdog.py",
        "if now.space - start.space > max(", "if False and max(", "PR-10",
    ),
    one(
        "number of files limited", "toolbox/watchdog.py",
        "if inodes is not None and now.files", "if False and now.files", "PR-12",
    ),
    Mutation(
        "services watched between commands",
        (Edit("toolbox/server.py", "if self._session.watchdog.measure():", "if False:"),),
        tests=("tests/sandbox/test_limits.py", "-k", "while_there_is_no_command"),
    ),
    one(
        "a fresh checkout for each gate", "checkouts.py",
        "yield await asyncio.to_thread(\n                make_clone, folder,",
        "used = self.folder / \"agent\"\n            yield Clone(used / \"tree\", used / \"git\", "
        "stores) if used.is_dir() else await asyncio.to_thread(\n                make_clone, folder,",
        "PR-17",
    ),
    Mutation(
        "a report of the change is removed before its gate",
        (Edit("gates/reports.py", "    if command.report:\n", "    if False:\n"),),
        tests=("tests/gates/test_reports.py", "-k", "brings_along"),
    ),
    one(
        "a gate's report must show its tests", "gates/command.py",
        "if passed and command.report:", "if False:", "FG-06",
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
    Mutation(
        "import: size of all files",
        (Edit(IMPORTER, "if sum(bytes_of.values()) > MAX_TOTAL:", "if False:"),),
        tests=("tests/workspace/test_importer.py", "-k", "test_caps"),
    ),
    Mutation(
        "import: number of commits",
        (Edit(IMPORTER, "if len(names) > MAX_COMMITS:", "if False:"),),
        tests=("tests/workspace/test_importer.py", "-k", "test_caps"),
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
        "neutral text: escapes and characters", "neutral.py",
        '    return _ESCAPES.sub("", text).replace("\\r\\n", "\\n").translate(_SHOWN)\n',
        "    return text\n", "OU-01", "OU-02", "OU-03",
    ),
    one(
        "neutral text: commands to a CI system", "neutral.py",
        "    return _COMMANDS.sub(lambda found: f\"{found[1] or ''}{found[0][-1]} \", visible(text))\n",
        "    return visible(text)\n", "OU-02",
    ),
    one(
        "commands of the CI system stopped around a run", "cli/execution.py",
        "    with commands_stopped(world.environment), telemetry(world.environment) as sent:\n",
        "    with telemetry(world.environment) as sent:\n", "OU-02",
    ),
    Mutation(
        "markup escaped on pages", (Edit("pages/environment.py", "autoescape=True", "autoescape=False"),),
        tests=("tests/report/test_page.py", "-k", "becomes_markup"),
    ),
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
    Mutation(
        "Landlock: rules", (Edit(KEEPER, "    _restrict(launch[\"rules\"])\n", ""),), tests=TRIALS,
    ),
    Mutation(
        "Landlock: system call filter",
        (
            Edit(
                KEEPER,
                "    _call(\"prctl\", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, "
                "ctypes.create_string_buffer(head), 0, 0)\n",
                "",
            ),
        ),
        tests=TRIALS,
    ),
    Mutation(
        "Landlock: the keeper ends what is left",
        (
            Edit(
                KEEPER, "        ending.kill_descendants()\n        _point(launch, NOWHERE)\n",
                "        _point(launch, NOWHERE)\n",
            ),
        ),
        tests=TRIALS,
    ),
    Mutation(
        "Landlock: processes of the user bounded",
        (Edit(KEEPER, "    _limit_processes(launch[\"processes\"])\n", ""),), tests=TRIALS,
    ),
)  # fmt: skip
