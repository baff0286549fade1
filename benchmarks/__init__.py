"""Speed and memory of the sidecar, compared with the plainest loop that does the same. Run by `make bench`."""
