"""The job queue, on one machine or on a fleet."""
