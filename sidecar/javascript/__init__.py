"""What stands in the source of JavaScript: which of its strings are secret."""
