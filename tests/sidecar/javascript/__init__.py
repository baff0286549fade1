"""Tests of what stands in JavaScript."""
