"""Tests of the wire's models."""
