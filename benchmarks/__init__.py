"""How fast and how small: the sidecar beside the plainest loop that does the same. Run by `make bench`."""
