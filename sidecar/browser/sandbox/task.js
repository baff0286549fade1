// What a task's script sees: CommonJS's `module`, `fetch`, `job`, `console` and the language itself.
//
// `fetch` and `job` leave as messages and are carried out by the sidecar; their answers come back as messages. Nothing in
// this file protects anybody: the other side checks every message as if this file were not there.
(limits, base) => {
  "use strict";
  const { push, exchange, coded, refusal, describeError, report, toBase64, fromBase64 } = base(limits, () => undefined);

  // --- requests to the other side
  const answers = new Map();
  let lastNumber = 0;
  const ask = (kind, content) => {
    const number = ++lastNumber;
    push([kind, number, content]);
    return new Promise((resolve, reject) => answers.set(number, { resolve, reject }));
  };

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

  // --- what Node or a page has and a task's script has not; the page's own policy keeps the rest from working
  const NO_FILES = "a task's script has no process, files or modules, only fetch, job and console";
  const NO_NETWORK = "a task's script uses fetch for requests";
  const refused = (name, reason) => new Proxy(function () {}, {
    apply() { throw refusal(name, reason); },
    construct() { throw refusal(name, reason); },
    get(_, key) { throw refusal(`${name}.${String(key)}`, reason); },
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
      throw coded(new TypeError(`main must return a string or a promise of one; it returned ${what}`), "no_string");
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
    exchange(messages) { return exchange(messages, receivers); },
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
    fail(_, error, place) { push(["fail", describeError(error, place)]); },
  };
}
