"""Takes secrets out of what is written down: which names and values are secret, and where they stand in a text."""
