// Node's `timers`.
() => {
  "use strict";
  return { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate };
}
