"""Work that was accepted and waits to be done, on one machine or many."""
