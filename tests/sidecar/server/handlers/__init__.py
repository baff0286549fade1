"""Tests of the messages' handlers."""
