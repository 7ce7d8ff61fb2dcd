"""What of the agent's commits is taken."""

from tests.attacks.mutation import IMPORTER, Edit, Mutation, one, tested

MUTATIONS = (
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
        "import: invisible characters in names", "boundaries.py", "    return unprintable(path)\n",
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
        "import: denials", "boundaries.py", "        if matches(glob, path):\n            return f\"denied",
        "        if False:\n            return f\"denied", "BD-07",
    ),
    tested(
        "import: number of changed paths", IMPORTER, "    if len(changes) > MAX_CHANGES:\n",
        "    if False:\n", "tests/workspace/test_importer.py", "-k", "test_caps",
    ),
    tested(
        "import: length of a message", IMPORTER,
        "    if max(sizes(state, names).values(), default=0) > MAX_COMMIT:\n", "    if False:\n",
        "tests/workspace/test_importer.py", "-k", "test_caps",
    ),
)  # fmt: skip
