"""Tests of RT-CV servers and of the mock."""
