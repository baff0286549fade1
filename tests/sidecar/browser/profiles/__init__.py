"""Tests of sidecar.browser.profiles."""
