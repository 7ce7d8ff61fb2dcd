"""The program: `agentflow`, and `python -m agentflow`."""

import os

from agentflow.loading import without_collector
from agentflow.signals import leave_on_signals
from agentflow.streams import hold_standard_streams

leave_on_signals()
hold_standard_streams()

# Nobody's plugin sees what is validated here, and no installed package is searched for one.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

with without_collector():
    from agentflow.cli import main

if __name__ == "__main__":
    main()
