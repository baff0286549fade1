"""Browsers: found, kept warm, lent to jobs. The only package that knows Playwright."""
