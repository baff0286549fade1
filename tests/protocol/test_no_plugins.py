"""pydantic looks for no plugins: no plugin reads models, and packages' metadata is not imported."""

import subprocess
import sys


def test_models_are_built_without_searching_plugins() -> None:
    """No search for plugins happens, in a new process, since this one has imported much already."""
    code = """
import sys
from sidecar_protocol.decoding import decode_as
from sidecar_protocol.session import Cancel
assert decode_as(Cancel, b'{"id":1}').id == 1
from pydantic.plugin import _loader
assert list(_loader.get_plugins()) == []
print("importlib.metadata" in sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout == "False\n"
