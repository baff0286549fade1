"""Browser processes, their Playwright drivers, and the pages for jobs."""
