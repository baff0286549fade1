"""Tests of sidecar.browser.steps."""
