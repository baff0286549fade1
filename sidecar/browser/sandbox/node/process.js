// Node's `process`, as far as a sandbox has one: an empty environment, and no way to end anything.
(host) => {
  "use strict";
  const { refusal } = host;
  const never = (name, reason) => () => { throw refusal(`process.${name}`, reason); };
  const nothing = function () { return this; };
  const write = (text) => { console.log(String(text).replace(/\n$/, "")); return true; };
  const start = performance.now();
  const hrtime = (since = [0, 0]) => {
    const now = performance.now() - start, seconds = Math.floor(now / 1000);
    const nanoseconds = Math.round((now % 1000) * 1e6) - since[1];
    return nanoseconds < 0 ? [seconds - since[0] - 1, nanoseconds + 1e9] : [seconds - since[0], nanoseconds];
  };
  return {
    env: {},
    argv: [],
    execArgv: [],
    title: "script",
    pid: 1,
    platform: "linux",
    arch: "",
    version: "",
    versions: {},
    release: {},
    browser: true,
    exitCode: undefined,
    cwd: () => "/",
    nextTick: (call, ...rest) => queueMicrotask(() => call(...rest)),
    uptime: () => (performance.now() - start) / 1000,
    hrtime: Object.assign(hrtime, { bigint: () => BigInt(Math.round((performance.now() - start) * 1e6)) }),
    stdout: { write, isTTY: false },
    stderr: { write, isTTY: false },
    emitWarning: (warning) => console.warn(warning),
    on: nothing, once: nothing, off: nothing, addListener: nothing, removeListener: nothing, removeAllListeners: nothing,
    emit: () => false,
    listeners: () => [],
    listenerCount: () => 0,
    exit: never("exit", "a run ends when main returns or throws"),
    abort: never("abort", "a run ends when main returns or throws"),
    kill: never("kill", "a script has no processes"),
    chdir: never("chdir", "a script has no files"),
    binding: never("binding", "a script has no process"),
  };
}
