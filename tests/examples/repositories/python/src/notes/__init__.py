"""A service for notes."""
