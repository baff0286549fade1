"""Tests of the real process, with real browsers and servers."""
