"""Tests of sidecar.cli."""
