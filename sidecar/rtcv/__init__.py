"""RT-CV servers, and the mock that answers in their place."""
