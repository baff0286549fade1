"""Tests of sidecar.recording.redaction."""
