"""EN: what of this machine an agent can see, and whether a secret gets out."""

NOT_RUN: dict[str, str] = dict.fromkeys(
    ("EN-01", "EN-02", "EN-03", "EN-04", "EN-05", "EN-06", "EN-07", "EN-08", "EN-09"),
    "no attack is written yet",
)
