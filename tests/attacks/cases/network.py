"""NW: ways out of the sandbox over the network and over sockets."""

NOT_RUN: dict[str, str] = dict.fromkeys(
    ("NW-01", "NW-02", "NW-03", "NW-04", "NW-05", "NW-06..23", "NW-24", "NW-25"),
    "no attack is written yet",
)
