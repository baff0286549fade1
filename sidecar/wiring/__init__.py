"""Which parts a process is made of, and which of them are opened when."""
