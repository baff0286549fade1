"""Makes the modules of this package that are not written by hand. Needs the development dependencies.

`requests.py` and `results.py` are made from the protocol's models, `messages.py` from `async_messages.py`.
"""

import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def texts() -> dict[str, str]:
    """File name -> what it has to hold."""
    from sidecar_protocol.typed_dicts import declarations

    requests, results = declarations("sidecar.client.requests")
    messages = without_async((FOLDER / "async_messages.py").read_text())
    made = {"requests.py": requests, "results.py": results, "messages.py": messages}
    return {name: _formatted(text, name) for name, text in made.items()}


def without_async(text: str) -> str:
    """The blocking form of the calls: without `await` and `async`, with the names of `Sidecar`."""
    text = re.sub(r"\bawait |\basync (?=def)", "", text)
    for theirs, ours in (("AsyncMessages", "Messages"), ("AsyncJob", "Job"), ("AsyncSidecar", "Sidecar")):
        text = text.replace(theirs, ours)
    _, _, rest = text.partition("\n")
    return (
        f'"""The calls of `Sidecar`. Made from `async_messages.py` by `python -m sidecar.client.generate`."""\n{rest}'
    )


def _formatted(text: str, name: str) -> str:
    for arguments in (("check", "--fix", "--quiet", "--select", "F401,I"), ("format", "--quiet")):
        command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", str(FOLDER / name), "-"]
        text = subprocess.run(command, input=text, capture_output=True, check=True, text=True, cwd=FOLDER).stdout  # noqa: S603
    return text


def main() -> None:
    """Writes them."""
    for name, text in texts().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
