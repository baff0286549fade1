"""A browser that runs, the driver it is spoken to through, and the pages that it lends."""
