"""The command line: a session by default, and all other commands."""
