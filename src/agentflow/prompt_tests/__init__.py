"""Regression suites of prompts: a task, a scripted conversation, and what must hold afterwards."""
