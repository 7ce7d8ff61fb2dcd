"""PR: processes that will not die, and resources of this machine."""

NOT_RUN: dict[str, str] = dict.fromkeys(
    (
        "PR-01",
        "PR-02",
        "PR-03",
        "PR-04",
        "PR-05",
        "PR-06",
        "PR-07",
        "PR-08",
        "PR-09",
        "PR-10",
        "PR-11",
        "PR-11b",
        "PR-12",
        "PR-13",
        "PR-14",
        "PR-15",
        "PR-16",
        "PR-17",
        "PR-18",
    ),
    "no attack is written yet",
)
