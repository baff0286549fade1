"""The composition root: what a session, a worker and a mock session are made of. No request passes through it."""
