"""A small HTTP service that keeps notes in memory."""
