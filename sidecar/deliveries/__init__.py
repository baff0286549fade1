"""What has to reach somebody: who they are, in which order, and what is tried when they fail."""
