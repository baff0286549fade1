"""The sidecar: a child process that holds a scraper's secrets, memory, browsers and deliveries."""

__version__ = "0.1.0"
