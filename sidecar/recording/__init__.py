"""What a session was told, written down without its secrets, and told again."""
