"""The program: `agentflow`, and `python -m agentflow`."""

from agentflow.loading import without_collector

with without_collector():
    from agentflow.cli import main

if __name__ == "__main__":
    main()
