"""Tests of sidecar.browser.processes."""
