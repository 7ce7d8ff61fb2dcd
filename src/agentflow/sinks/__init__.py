"""Sinks: what becomes of events. Each is a callable that takes one."""
