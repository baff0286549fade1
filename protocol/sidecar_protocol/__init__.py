"""The wire: every message that travels between a scraper and the sidecar, and nothing else."""

PROTOCOL_VERSION = "2.0"
