"""FG: evidence that the agent made up."""

NOT_RUN: dict[str, str] = dict.fromkeys(
    (
        "FG-01",
        "FG-02",
        "FG-03",
        "FG-04",
        "FG-05",
        "FG-06",
        "FG-07",
        "FG-08",
        "FG-09",
        "FG-10",
        "FG-11",
        "FG-12",
    ),
    "no attack is written yet",
)
