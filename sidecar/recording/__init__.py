"""The input log, its redaction, and the replay of a log."""
