"""One-off schedules: messages that are run at a time."""
