"""Pictures and notes of a recorded job's steps."""
