"""What is mounted, and how."""

from tests.attacks.mutation import BWRAP, one, tested

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
    one(
        "objects of the user read-only", "policies.py",
        "*(Mount(store, target) for target, store in stores.items()),",
        "*(Mount(store, target, True) for target, store in stores.items()),", "GT-04",
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
        "list of users is the sandbox's", BWRAP,
        "    for name, content in SYNTHETIC_FILES.items():\n",
        '    yield from ("--ro-bind", "/etc", "/etc")\n    for name, content in ():\n', "PT-13",
    ),
    one(
        "credentials of toolchains: known by their names", "sandbox/toolchains.py",
        "            for path in (file, file.resolve()):\n", "            for path in ():\n", "EN-02",
    ),
    one(
        "credentials of toolchains: shown empty", BWRAP, "    for path in policy.masked:\n",
        "    for path in ():\n", "EN-02",
    ),
    tested(
        "documents that nobody committed: none with a secret file's name", "documents.py",
        " and not known.secret(path)", "",
        "tests/run/test_hostile_repository.py", "-k", "untracked_files",
    ),
    tested(
        "documents that nobody committed: texts only", "documents.py",
        " and _is_document(each)", "",
        "tests/run/test_hostile_repository.py", "-k", "untracked_files",
    ),
    tested(
        "`.env` files of setup are removed", "provision_store.py",
        "secret = is_environment_file(entry.name) or ", "secret = ",
        "tests/test_provisions.py", "-k", "dotenv",
    ),
    tested(
        "files of `[secrets] files` that setup leaves are removed", "provision_store.py",
        "is_environment_file(entry.name) or any(matches(g, path) for g in secret_files)",
        "is_environment_file(entry.name)", "tests/test_provisions.py", "-k", "calls_secret",
    ),
)  # fmt: skip
