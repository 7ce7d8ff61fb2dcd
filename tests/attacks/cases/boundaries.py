"""BD: the task's boundaries, in the kernel and at import."""

NOT_RUN: dict[str, str] = dict.fromkeys(
    (
        "BD-01",
        "BD-02",
        "BD-03",
        "BD-04",
        "BD-05",
        "BD-06",
        "BD-07",
        "BD-08",
        "BD-09",
        "BD-10",
        "BD-11",
        "BD-12",
    ),
    "no attack is written yet",
)
