"""Tests of work that is more than one message."""
