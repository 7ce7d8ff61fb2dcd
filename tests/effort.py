"""How many examples the generated tests try."""

import os

FACTOR = int(os.environ.get("AGENTFLOW_FUZZ", "1"))
"""1: the same examples every time, for `make test`. More: so many times as many, others each time."""
