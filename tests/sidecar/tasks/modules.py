"""Installed modules in the forms that packages of a registry have, and how a test puts them down."""

import json
from pathlib import Path
from typing import Any, Final

_UMD: Final = """(function (root, factory) {
  typeof exports === 'object' && typeof module !== 'undefined' ? module.exports = factory() :
  typeof define === 'function' && define.amd ? define(factory) : (root.clock = factory());
}(this, (function () { 'use strict';
  function load(name) { try { var old = require; old('./locale/' + name); return true } catch (e) { return e.code } }
  return { version: '1.0', load: load, format: function (t) { return new Date(t).toISOString() } };
})));
"""
"""As moment and dayjs are."""
_EXPORTED: Final = {
    "name": "exported",
    "type": "module",
    "exports": {
        ".": {
            "types": "./types.d.ts",
            "node": "./node.js",
            "browser": {"import": "./browser.mjs", "require": "./browser.cjs"},
            "default": "./node.js",
        },
        "./feature/*": "./features/*.js",
        "./feature/private/*": None,
        "./old/": "./features/",
        "./list": ["./missing.js", "./browser.cjs"],
        "./package.json": "./package.json",
    },
    "imports": {"#own": {"browser": "./own.js", "default": "./none.js"}, "#other": "plain"},
}
_REPLACED: Final = {
    "main": "./lib/node.js",
    "browser": {"./lib/node.js": "./lib/browser.js", "fs": False, "zlib": "./lib/zlib.js", "plain": "umd"},
}
_INFLUX: Final = """Object.defineProperty(exports, '__esModule', {value: true});
const events_1 = require('events'), url_1 = require('url'), axios_1 = __importDefault(require('axios'));
function __importDefault(mod) { return mod && mod.__esModule ? mod : {default: mod} }
class Client extends events_1.EventEmitter {
  constructor(base) { super(); this.base = url_1.parse(base).href }
  async write(points) {
    const lines = points.map(({name, value}) => `${name} value=${value}`).join('\\n');
    const to = new url_1.URL('write?db=a', this.base).href;
    const answer = await axios_1.default.post(to, lines, {headers: {'Content-Type': 'text/plain'}});
    this.emit('written', answer.status);
    return answer.data;
  }
}
exports.Client = Client; exports.default = Client;
"""

INSTALLED: Final[dict[str, Any]] = {
    "umd": {"package.json": {"name": "umd", "main": "umd"}, "umd.js": _UMD, "locale/de.js": "module.exports = 'de'"},
    "plain": {
        "index.js": "module.exports = {name: __filename, folder: __dirname, inner: require('./lib').a}",
        "lib/index.js": "exports.a = 1",
    },
    "exported": {
        "package.json": _EXPORTED,
        "node.js": "throw new Error('for Node only')",
        "browser.cjs": "exports.kind = 'required'",
        "browser.mjs": """import {own} from '#own';
            export const kind = own; export default function named() { return 1 }""",
        "own.js": "export const own = 'imported'",
        "features/one.js": "export default 1",
        "features/private/two.js": "export default 2",
    },
    "replaced": {
        "package.json": _REPLACED,
        "lib/node.js": "throw new Error('for Node only')",
        "lib/browser.js": "module.exports = [require('fs'), require('zlib'), require('plain').version]",
        "lib/zlib.js": "module.exports = 'no zlib'",
    },
    "@scope/named": {
        "package.json": {"browser": "browser.js", "main": "node.js"},
        "browser.js": "module.exports = require('plain')",
    },
    "nested": {
        "index.js": "module.exports = require('plain')",
        "node_modules/plain/index.js": "module.exports = 'nested'",
    },
    "axios": {
        "package.json": {"main": "index.js"},
        "index.js": "throw new Error('the installed one')",
        "lib/x.js": "module.exports = 'theirs'",
    },
    "events": {"index.js": "throw new Error('the installed one')"},
    "influx-like": {"package.json": {"main": "dist/index.js"}, "dist/index.js": _INFLUX},
    "broken": {"index.js": "exports.a = 1;\nexports.b = ;"},
    "throws": {"index.js": "exports.run = (call) => { call() };\nexports.fail = () => { null.x }"},
    "circular": {
        "index.js": "exports.early = 1; exports.other = require('./other'); exports.late = 2",
        "other.js": """const index = require('./index');
            exports.seen = index.early; exports.missed = index.late; exports.later = () => index.late""",
    },
}


def put(folder: Path, files: dict[str, Any]) -> None:
    """Writes files below a folder; what is no text is JSON, or a folder."""
    for name, content in files.items():
        path = folder / name
        if isinstance(content, dict) and not name.endswith(".json"):
            put(path, content)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
