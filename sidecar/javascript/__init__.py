"""A tokenizer of JavaScript that finds the secret string literals of a source."""
