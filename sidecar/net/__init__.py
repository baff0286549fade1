"""HTTP: clients, redirects, the SSRF guard, responses."""

import sys

# httpx imports its command line, with rich and pygments, where click is installed: a third of what it costs to import
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
