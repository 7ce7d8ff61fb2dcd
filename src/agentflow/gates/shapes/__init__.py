"""Shapes of requests and responses: what a contract expects, and what source text declares."""
