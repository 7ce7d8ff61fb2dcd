"""What may be used up."""

from tests.attacks.mutation import BWRAP, Edit, Mutation, one, tested

MUTATIONS = (
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
        "turns are bounded", "budget.py",
        '    Limit("max_turns", "turns", lambda s: s.turns),\n', "",
        "FG-12",
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
        "search program without a configuration", "toolbox/searching.py", "--no-config --color=never",
        "--color=never", "PT-29",
    ),
    one(
        "files opened without waiting", "toolbox/files.py",
        "os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY", "os.O_RDONLY | os.O_NOCTTY", "PT-30",
    ),
    tested(
        "open files of a process limited", "toolbox/processes.py",
        '    _limit(resource.RLIMIT_NOFILE, limits.get("open_files"))\n', "",
        "tests/sandbox/test_limits.py", "-k", "limits_of_the_kernel",
    ),
    tested(
        "processor time of a process limited", "toolbox/shell.py",
        '        _processor_time(session.limits.get("cpu"))\n', '        ""\n',
        "tests/sandbox/test_limits.py", "-k", "limits_of_the_kernel",
    ),
)  # fmt: skip
