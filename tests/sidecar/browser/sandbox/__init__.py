"""Tests of JavaScript actions, in real browsers."""
