"""The composition root: what a session, a worker and a mock session are made of, and which part is opened when."""
