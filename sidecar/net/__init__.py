"""HTTP: the client, the SSRF guard, responses, and how webhooks are signed."""
