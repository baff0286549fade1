"""The report of a recorded session: one page that shows what happened."""
