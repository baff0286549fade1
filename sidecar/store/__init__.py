"""What outlives the process: one SQLite file, and its rooms."""
