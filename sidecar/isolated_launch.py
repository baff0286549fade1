"""Starts a sidecar that imports no modules from a scraper's folder.

`python -m sidecar` looks for modules in the working folder first, and those of PYTHONPATH: a scraper's `protocol.py`,
`types.py` or `selectors.py` would be taken for ours, or for the standard library's. Run as a file, this looks in the
standard library, then next to this package, then where packages are installed, and last where its parent looked.
"""

import os
import sys

if __name__ == "__main__":  # before anything else is imported: folders of PYTHONPATH come before the standard library
    del sys.path[: max(0, sys.path.index(os.path.dirname(os.__file__)) - 1)]  # noqa: PTH120  pathlib is not there yet

import contextlib
from collections.abc import Sequence
from pathlib import Path


def command(*arguments: str, module: str = "sidecar") -> list[str]:
    """The command line of such a sidecar, or of one of its modules."""
    # without the site module nothing but the standard library can be found, until the file below says where else
    return [sys.executable, "-P", "-S", "-s", __file__, os.pathsep.join(_elsewhere(sys.path)), module, *arguments]


def _elsewhere(path: Sequence[str]) -> list[str]:
    """The folders in which this process finds modules, without the working folder and that of its script."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    own = {Path(script).resolve().parent} if script else set()
    with contextlib.suppress(OSError):  # it was removed meanwhile, so nothing is found in it
        own.add(Path.cwd())
    return [one for one in path if one and Path(one).resolve() not in own]


def _begin(elsewhere: str, module: str) -> None:
    import runpy
    import site

    sys.path.append(str(Path(__file__).resolve().parent.parent))
    site.main()
    sys.path += [one for one in elsewhere.split(os.pathsep) if one and one not in sys.path]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _begin(sys.argv.pop(1), sys.argv.pop(1))
