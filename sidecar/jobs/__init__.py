"""Browser jobs: validation, execution, updates, visit tokens."""
