"""Tests of sidecar.server."""
