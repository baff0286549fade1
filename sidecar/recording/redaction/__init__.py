"""Redaction of everything that is written: which names and values are secret, and their places in a text."""
