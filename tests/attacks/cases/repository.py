"""GT: git as a way out of the sandbox or into the user's repository."""

NOT_RUN: dict[str, str] = dict.fromkeys(
    (
        "GT-01",
        "GT-02",
        "GT-03",
        "GT-04",
        "GT-05",
        "GT-06",
        "GT-07",
        "GT-08",
        "GT-09",
        "GT-10",
        "GT-11",
    ),
    "no attack is written yet",
)
