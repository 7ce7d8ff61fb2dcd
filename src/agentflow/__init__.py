"""Runs prompt files for backend agents against an LLM, unattended, and does not believe them."""

__version__ = "0.1.0"
