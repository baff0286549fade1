"""What outlives the process: one SQLite database, and what a fleet shares in Redis."""
