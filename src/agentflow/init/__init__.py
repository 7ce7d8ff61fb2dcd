"""`agentflow init`: what a repository needs, read from its own files, and written down."""
