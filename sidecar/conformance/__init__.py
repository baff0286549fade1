"""Plays one side of the protocol against a program that has the other: `sidecar conformance`."""
