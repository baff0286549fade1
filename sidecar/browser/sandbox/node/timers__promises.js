// Node's `timers/promises`.
() => {
  "use strict";
  const wait = (milliseconds, value, { signal } = {}) => new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(resolve, milliseconds, value);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
  return { setTimeout: wait, setImmediate: (value, options) => wait(0, value, options), scheduler: { wait: (milliseconds, options) => wait(milliseconds, undefined, options) } };
}
