"""Tests of the browsers, with real ones."""
