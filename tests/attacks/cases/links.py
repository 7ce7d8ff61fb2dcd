"""SL: links, and mounts that would follow them."""

NOT_RUN: dict[str, str] = dict.fromkeys(
    (
        "SL-01",
        "SL-02",
        "SL-03",
        "SL-04",
        "SL-05",
        "SL-06",
        "SL-07",
        "SL-08",
        "SL-09",
        "SL-10",
        "SL-11",
        "SL-12",
    ),
    "no attack is written yet",
)
