"""pydantic without plugins: imported before the first model is made.

Any other installed package could hook into every model by an entry point, and so see what is read. To
look for them also imports what reads packages' metadata, which takes a third of the time that pydantic itself does.
"""

import sys
from types import ModuleType
from typing import Any, Final

_LOADER: Final = "pydantic.plugin._loader"


class _NoPlugins(ModuleType):
    """Replaces pydantic's module that searches for plugins."""

    def get_plugins(self) -> tuple[Any, ...]:
        """There are none."""
        return ()


sys.modules.setdefault(_LOADER, _NoPlugins(_LOADER))
