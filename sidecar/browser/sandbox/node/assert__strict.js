// Node's `assert/strict`.
(host) => host.native("assert").strict
