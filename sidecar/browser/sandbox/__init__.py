"""JavaScript actions: run in a browser of their own, which reaches the job's page through one checked door."""
