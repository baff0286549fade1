"""Exports of a recording to the formats of other tools: HAR, Playwright's traces, WACZ."""
