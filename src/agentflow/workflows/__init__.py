"""Workflows: several runs that belong together, driven by a document."""
