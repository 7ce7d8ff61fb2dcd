"""What gates believe."""

from tests.attacks.mutation import Edit, Mutation, one, tested

MUTATIONS = (
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
        "gates judge with the base's tests too", "gates/build.py", "        if not touched:\n",
        "        if True:\n", "FG-04", "FG-05", "FG-09",
    ),
    one(
        "no result without a change", "gates/commit.py", "        if not candidate.files_changed:\n",
        "        if False:\n", "FG-01", "FG-02",
    ),
    tested(
        "a gate that must fail on the base: refused if it passes", "preflight.py",
        '        return evidence.status == "failed"\n', "        return True\n",
        "tests/test_preflight.py", "-k", "must_fail",
    ),
    tested(
        "a gate that must fail on the base: its failure is not excused", "gates/build.py",
        "if self.command.must_fail_on_base or not before", "if not before",
        "tests/gates/test_build.py", "-k", "must_fail",
    ),
)  # fmt: skip
