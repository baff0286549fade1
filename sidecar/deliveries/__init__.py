"""Deliveries from the outbox: endpoints, their workers, the sender, retries."""
