// What a task's script sees: CommonJS's `module`, `fetch`, `job`, `console` and the language itself.
//
// `fetch` and `job` leave as messages and are carried out by the sidecar; their answers come back as messages. Nothing in
// this file protects anybody: the other side checks every message as if this file were not there.
(limits) => {
  "use strict";
  try { Function(""); throw new Error("the page's policy is not in force"); } catch (error) { if (!(error instanceof EvalError)) throw error; }
  const toText = JSON.stringify, fromText = JSON.parse, later = queueMicrotask;

  // --- messages out: kept until the other side asks for them
  let outbox = [], lines = [], waiter = null, planned = false;
  const push = (message) => {
    const text = toText(message);
    if (text.length > limits.message) throw new RangeError(`the value is larger than ${limits.message} characters`);
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
    while (outbox.length && (size === 0 || size + outbox[0].length <= limits.message)) {
      size += outbox[0].length;
      texts.push(outbox.shift());
    }
    const answer = waiter;
    waiter = null;
    answer(`[${texts.join(",")}]`);
  };

  // --- errors
  const codes = new WeakMap();
  const coded = (error, code) => { codes.set(error, code); return error; };
  const refuse = (name, instead) => {
    throw coded(new Error(`${name} is refused: ${instead}`), "forbidden");
  };
  const describeError = (error) => error instanceof Error
    ? { name: String(error.name), message: String(error.message).slice(0, limits.line), code: codes.get(error) ?? "" }
    : { name: "Error", message: inspect(error).slice(0, limits.line), code: "" };
  const report = (error) => {
    const { name, message } = describeError(error);
    say("error", `${name}: ${message}`);
  };
  addEventListener("unhandledrejection", (event) => { event.preventDefault(); report(event.reason); });
  addEventListener("error", (event) => { event.preventDefault(); report(event.error ?? event.message); });

  // --- requests to the other side
  const answers = new Map();
  let lastNumber = 0;
  const ask = (kind, content) => {
    const number = ++lastNumber;
    push([kind, number, content]);
    return new Promise((resolve, reject) => answers.set(number, { resolve, reject }));
  };
  const toBase64 = (bytes) => {
    let binary = "";
    for (let start = 0; start < bytes.length; start += 0x8000) {
      binary += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
    }
    return btoa(binary);
  };
  const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  // --- fetch: bodies and headers are read by the page's own classes, only the way out is ours
  const WITHOUT_BODY = [204, 205, 304];
  const fetch = async (input, init = {}) => {
    const given = input instanceof Request
      ? { method: input.method, headers: input.headers, body: input.body && await input.arrayBuffer(), ...init }
      : init;
    const headers = new Headers(given.headers);
    let body = null;
    if (given.body !== undefined && given.body !== null) {
      const carrier = new Response(given.body);
      body = toBase64(new Uint8Array(await carrier.arrayBuffer()));
      if (!headers.has("content-type") && carrier.headers.has("content-type")) {
        headers.set("content-type", carrier.headers.get("content-type"));
      }
    }
    given.signal?.throwIfAborted();
    const asked = ask("fetch", {
      url: input instanceof Request ? input.url : String(input),
      method: String(given.method ?? "GET").toUpperCase(),
      headers: Object.fromEntries(headers),
      body,
      redirect: String(given.redirect ?? "follow"),
    });
    const aborted = given.signal && new Promise((_, reject) => {
      given.signal.addEventListener("abort", () => reject(given.signal.reason));
    });
    const answer = await (aborted ? Promise.race([asked, aborted]) : asked);
    const content = WITHOUT_BODY.includes(answer.status) ? null : fromBase64(answer.body);
    const response = new Response(content, { status: answer.status, headers: answer.headers });
    Object.defineProperty(response, "url", { value: answer.url });
    return response;
  };
  const job = (content) => ask("job", content ?? null);

  // --- console
  const inspect = (value) => {
    if (typeof value === "string") return value;
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    if (typeof value === "function") return `[function ${value.name}]`;
    if (typeof value !== "object" || value === null || value instanceof RegExp) return String(value);
    try { return toText(value) ?? String(value); } catch { return String(value); }
  };
  const quiet = new Set(["clear", "group", "groupCollapsed", "groupEnd", "time", "timeEnd", "timeLog", "count", "countReset", "profile", "profileEnd", "timeStamp"]);
  for (const name of Object.keys(console)) {
    console[name] = quiet.has(name) ? () => {} : (...args) => say("log", args.map(inspect).join(" "));
  }

  // --- what Node or a page has and a task's script has not; the page's own policy keeps the rest from working
  const NO_FILES = "a task's script has no process, files or modules; it has fetch, job and console";
  const NO_NETWORK = "a task's script reaches servers by fetch";
  const refused = (name, reason) => new Proxy(function () {}, {
    apply() { refuse(name, reason); },
    construct() { refuse(name, reason); },
    get(_, key) { refuse(`${name}.${String(key)}`, reason); },
  });
  const globals = { fetch, job };
  for (const name of ["require", "process", "Buffer", "Deno", "Bun"]) globals[name] = refused(name, NO_FILES);
  for (const name of ["XMLHttpRequest", "WebSocket", "WebTransport", "EventSource", "RTCPeerConnection", "Worker", "SharedWorker", "open"]) {
    globals[name] = refused(name, NO_NETWORK);
  }
  globals.global = globalThis;
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }

  // --- one run
  const checked = (value) => {
    if (typeof value !== "string") {
      const what = value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
      throw coded(new TypeError(`main has to return a string, or a promise of one; it returned ${what}`), "no_string");
    }
    if (value.length > limits.result) {
      throw coded(new RangeError(`the result is longer than ${limits.result} characters`), "limit_exceeded");
    }
    return value;
  };
  let config = {};
  const receivers = {
    begin(given) { config = given; },
    answer(number, value) {
      answers.get(number)?.resolve(value);
      answers.delete(number);
    },
    refuse(number, { name, message, code }) {
      const error = coded(Object.assign(new Error(message), { name, code }), code);
      answers.get(number)?.reject(error);
      answers.delete(number);
    },
  };
  return {
    exchange(messages) {
      if (waiter) { waiter("[]"); waiter = null; }
      const answer = new Promise((resolve) => { waiter = resolve; });
      for (const [kind, ...rest] of fromText(messages)) receivers[kind](...rest);
      plan();
      return answer;
    },
    settle(_, load) {
      const run = async () => {
        const module = { exports: {} };
        try {
          load.call(module.exports, module, module.exports, globals.require);
          const main = module.exports?.main;
          if (typeof main !== "function") throw coded(new TypeError("the script exports no function: module.exports.main"), "no_main");
          push(["done", checked(await main(config))]);
        } catch (error) { push(["fail", describeError(error)]); }
      };
      setTimeout(() => run().catch(report)); // in a turn of its own, where the page's policy also forbids eval
    },
    fail(_, error) { push(["fail", describeError(error)]); },
  };
}
