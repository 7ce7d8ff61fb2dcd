"""What the Landlock back end holds."""

from tests.attacks.mutation import KEEPER, TRIALS, Edit, Mutation

MUTATIONS = (
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
    Mutation(
        "Landlock: capabilities dropped", (Edit(KEEPER, "    _drop_capabilities()\n", ""),),
        tests=TRIALS,
    ),
    Mutation(
        "Landlock: credentials of toolchains not shown",

        (
            Edit(
                "sandbox/landlock.py", "masked = [Path(path) for path in policy.masked]",
                "masked: list[Path] = []",
            ),
        ),
        tests=TRIALS,
    ),
)  # fmt: skip
