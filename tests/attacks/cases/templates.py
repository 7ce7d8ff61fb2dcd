"""TP: templates, parsers and configuration that a repository brings along."""

NOT_RUN: dict[str, str] = dict.fromkeys(
    ("TP-01", "TP-02", "TP-03", "TP-04", "TP-05", "TP-06", "TP-07", "TP-08", "TP-09"),
    "no attack is written yet",
)
