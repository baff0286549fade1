"""Tests of the package `sidecar.recording`."""
