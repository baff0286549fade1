"""Tests of the servers that the sidecar talks to."""
