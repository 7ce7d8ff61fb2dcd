"""The process inside the sandbox: standard library only, imports nothing else of agentflow."""
