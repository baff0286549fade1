"""docs/coming-from.md: a test for each row."""
