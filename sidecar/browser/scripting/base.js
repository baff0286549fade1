// What every sandbox's program stands on: the way out and in, errors, and the console.
//
// `show` gives the text of a program's own objects, and undefined for all others.
(limits, show) => {
  "use strict";
  try { Function(""); throw new Error("the page's policy is not in force"); } catch (error) { if (!(error instanceof EvalError)) throw error; }
  const toText = JSON.stringify, fromText = JSON.parse, later = queueMicrotask;

  // --- messages out: kept until the other side asks for them
  let outbox = [], lines = [], waiter = null, planned = false;
  const push = (message) => {
    const text = toText(message);
    if (text.length > limits.message) throw new RangeError(`the value is larger than ${limits.message} characters`);
    if (outbox.length >= 10_000) throw new RangeError("more than 10,000 calls are waiting");
    outbox.push(text);
    plan();
  };
  const say = (kind, text) => {
    lines.push(toText([kind, String(text).slice(0, limits.line)]));
    if (lines.length > limits.lines) lines.shift();
    plan();
  };
  const plan = () => {
    if (!planned && waiter) { planned = true; later(flush); }
  };
  const flush = () => {
    planned = false;
    if (!waiter || !(outbox.length || lines.length)) return;
    const texts = lines;
    lines = [];
    let size = 0;
    while (outbox.length && size + outbox[0].length <= limits.message) {
      size += outbox[0].length;
      texts.push(outbox.shift());
    }
    const answer = waiter;
    waiter = null;
    answer(`[${texts.join(",")}]`);
  };

  // --- messages in: each is handed to the receiver of its kind, and what there is to say goes back
  const exchange = (messages, receivers) => {
    if (waiter) { waiter("[]"); waiter = null; }
    const answer = new Promise((resolve) => { waiter = resolve; });
    for (const [kind, ...rest] of fromText(messages)) receivers[kind](...rest);
    plan();
    return answer;
  };

  // --- errors
  const codes = new WeakMap();
  const coded = (error, code) => { codes.set(error, code); return error; };
  const refusal = (what, reason) => coded(new Error(`${what} is refused: ${reason}`), "forbidden");
  const describeError = (error) => error instanceof Error
    ? { name: String(error.name), message: String(error.message).slice(0, limits.line), code: codes.get(error) ?? "" }
    : { name: "Error", message: inspect(error).slice(0, limits.line), code: "" };
  const report = (error) => {
    const { name, message } = describeError(error);
    say("error", `${name}: ${message}`);
  };
  addEventListener("unhandledrejection", (event) => { event.preventDefault(); report(event.reason); });
  addEventListener("error", (event) => { event.preventDefault(); report(event.error ?? event.message); });

  // --- console
  const inspect = (value) => {
    if (typeof value === "string") return value;
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    if (typeof value === "function") return `[function ${value.name}]`;
    const shown = show(value);
    if (shown !== undefined) return shown;
    if (typeof value !== "object" || value === null || value instanceof RegExp) return String(value);
    try { return toText(value) ?? String(value); } catch { return String(value); }
  };
  const quiet = new Set(["clear", "group", "groupCollapsed", "groupEnd", "time", "timeEnd", "timeLog", "count", "countReset", "profile", "profileEnd", "timeStamp"]);
  for (const name of Object.keys(console)) {
    console[name] = quiet.has(name) ? () => {} : (...args) => say("log", args.map(inspect).join(" "));
  }

  // --- bytes
  const toBase64 = (bytes) => {
    let binary = "";
    for (let start = 0; start < bytes.length; start += 0x8000) {
      binary += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
    }
    return btoa(binary);
  };
  const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  return { push, exchange, coded, refusal, describeError, report, inspect, toBase64, fromBase64 };
}
