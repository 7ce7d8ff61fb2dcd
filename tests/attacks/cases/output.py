"""OU: text that commands a terminal, a CI system, a browser or a parser."""

NOT_RUN: dict[str, str] = dict.fromkeys(
    ("OU-01", "OU-02", "OU-03", "OU-04", "OU-05", "OU-06", "OU-07"),
    "no attack is written yet",
)
