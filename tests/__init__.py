"""Tests mirror the source; e2e/ runs the real process."""
