"""The command line: the session by default, and every command beside it."""
