"""What a process inside is, and when it ends."""

from tests.attacks.mutation import BWRAP, NO_SECCOMP, Edit, Mutation, one, tested

MUTATIONS = (
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
            Edit("sandbox/program.py", "start_new_session=True,", "start_new_session=False,"),
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
    Mutation(
        "no new user namespace (option and filter)",
        (
            NO_SECCOMP,
            Edit(BWRAP, '"--disable-userns", "--assert-userns-disabled", ', ""),
        ),
        ("SL-12",),
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
    tested(
        "no capability", BWRAP, '"--new-session", "--cap-drop", "ALL", ', '"--new-session", ',
        "tests/sandbox/test_bubblewrap.py", "-k", "environment",
    ),
)  # fmt: skip
