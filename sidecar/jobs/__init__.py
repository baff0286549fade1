"""Browser jobs: one run from its definition to its result, and what is told of it."""
