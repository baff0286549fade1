"""Scripts of tasks in a recording: replayed without the scripts folder, they do what they did; no secret is kept."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sidecar.javascript.sources import MAX_SOURCE
from tests.e2e.test_recorded_pages import replay
from tests.harness import Child, receiver

pytestmark = pytest.mark.browser

LITERAL, CONFIGURED = "canary-literal-4711", "canary-config-4712"
LONG = ",".join(f"[{number}, 'entry-{number}']" for number in range(4_000))
FILES = {
    "total.js": f"""const tiny = require('tiny');
const table = new Map([{LONG}]);
exports.main = async (config) => {{
  const {{ rate }} = await import('./lib/rates.mjs');
  const password = '{LITERAL}';
  const answer = await fetch(config.url, {{method: 'POST', body: JSON.stringify({{password, key: config.api_key}})}});
  return [tiny(rate), answer.status, table.size].join(' ');
}};""",
    "lib/rates.mjs": "import { base } from './base.mjs';\nexport const rate = base * 2;",
    "lib/base.mjs": "export const base = 21;",
    "node_modules/.store/tiny/package.json": '{"name": "tiny", "main": "lib/tiny.js"}',
    "node_modules/.store/tiny/lib/tiny.js": "module.exports = (number) => number + ' ' + 'utf8'.length;",
}


def test_a_task_is_replayed_without_its_scripts(tmp_path: Path) -> None:
    """The script with its configuration, the modules that it asks for, also installed ones that are links."""
    scripts = tmp_path / "scripts"
    for name, text in FILES.items():
        (scripts / name).parent.mkdir(parents=True, exist_ok=True)
        (scripts / name).write_text(text)
    (scripts / "node_modules" / "tiny").symlink_to(".store/tiny")
    given = {"SIDECAR_SCRIPTS_FOLDER": str(scripts), "SIDECAR_SCRIPT_HOSTS": "127.0.0.1"}
    with receiver() as hook:
        config = {"url": f"{hook.server.url}/prices", "api_key": CONFIGURED}
        (scripts / "total.json").write_text(json.dumps({"interval": "1h", "config": config}))
        messages: list[dict[str, Any]] = [
            {"type": "set_mock", "content": {}},
            {"type": "create_task", "content": {"id": "total", "script": "total.js", "running": False}},
            {"type": "run_task", "content": {"id": "total"}},
            {"type": "create_task", "content": {"id": "none", "script": "none.js", "running": False, "interval": "1h"}},
            {"type": "run_task", "content": {"id": "none"}},
        ]
        env = given | {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true"}
        with Child(tmp_path, "--record", "recording", env=env) as child:
            *_, ran, _, missing = child.ask(*messages)
            assert child.end() == 0
        assert json.loads(hook.server.requests[-1].body)["password"] == LITERAL
    assert len(FILES["total.js"]) > 2 * MAX_SOURCE
    assert ran["content"]["result"] == "42 4 200 4000", ran
    shutil.rmtree(scripts)
    for path in (tmp_path / "recording").rglob("*"):
        if path.is_file():
            assert LITERAL.encode() not in path.read_bytes(), path
            assert CONFIGURED.encode() not in path.read_bytes(), path
            assert path.is_symlink() or path.stat().st_mode & 0o777 == 0o600, path
    replayed = replay(tmp_path)
    assert replayed[1]["content"]["result"] == "42 4 200 4000"
    assert replayed[3] == missing
