"""Sandboxes and a client that stay warm over a module, and scripts in a folder with installed modules."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.clock import Clock
from sidecar.net.public_http import PublicHttpClient
from sidecar.settings import Settings
from tests.sidecar.tasks.modules import INSTALLED, put
from tests.sidecar.tasks.scripts import Scripts


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outside() -> AsyncIterator[tuple[SandboxPool, PublicHttpClient]]:
    """What scripts run in, and what they reach."""
    pool, http = SandboxPool(Settings()), PublicHttpClient(Clock(), allow_private=True)
    yield pool, http
    await pool.close()
    await http.close()


@pytest.fixture
def scripts(outside: tuple[SandboxPool, PublicHttpClient], tmp_path: Path) -> Scripts:
    """A folder with installed modules."""
    put(tmp_path, {"node_modules": INSTALLED})
    return Scripts(*outside, tmp_path)
