"""Persistent state: one SQLite database, and what a fleet shares in Redis."""
