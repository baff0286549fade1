"""What the handlers' tests share."""

import pytest

from tests.sidecar.server.handlers.parts import Parts


@pytest.fixture
def parts() -> Parts:
    """A session before its login, its server and its time."""
    return Parts()
