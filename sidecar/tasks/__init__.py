"""Periodic tasks: scripts and jobs that run again and again."""
