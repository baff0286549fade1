"""Tests of HTTP: the client, the SSRF guard, responses, and signatures of webhooks."""
