"""Tests of sidecar.browser.visits."""
