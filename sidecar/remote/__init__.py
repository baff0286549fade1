"""Servers that the sidecar talks to."""
