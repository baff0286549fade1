"""Tests of sidecar.conformance."""
