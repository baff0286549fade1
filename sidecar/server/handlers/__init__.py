"""Message type -> one short coroutine that answers it."""
