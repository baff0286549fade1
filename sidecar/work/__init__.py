"""Work that is more than one message: running jobs."""
