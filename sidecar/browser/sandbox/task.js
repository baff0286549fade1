// What a task's script sees: `require` and what it finds, `fetch`, `job`, `console` and the language itself.
//
// `fetch` and `job` leave as messages and are carried out by the sidecar; their answers come back as messages. Nothing in
// this file protects anybody: the other side checks every message as if this file were not there. `parts` are the other
// files of this program by name.
(limits, base, parts) => {
  "use strict";
  const stacks = parts.stacks();
  const { push, exchange, coded, codeOf, refusal, describeError, report, toBase64, fromBase64 } = base(limits, () => undefined, stacks.place);
  const toText = JSON.stringify;

  // --- requests to the other side
  const answers = new Map();
  let lastNumber = 0;
  const ask = (kind, content, asked) => {
    const number = ++lastNumber;
    push([kind, number, content]);
    return new Promise((resolve, reject) => answers.set(number, { resolve, reject, asked }));
  };
  // where a request comes from: what is refused later has failed there
  const from = (caller) => {
    const asked = {};
    Error.captureStackTrace(asked, caller);
    return asked;
  };

  // --- fetch: bodies and headers are read by the page's own classes, only the way out is ours
  const WITHOUT_BODY = [204, 205, 304];
  const fetch = (input, init) => request(input, init ?? {}, from(fetch));
  const request = async (input, init, asked) => {
    const given = input instanceof Request
      ? { method: input.method, headers: input.headers, body: input.body && await input.arrayBuffer(), redirect: input.redirect, signal: input.signal, ...init }
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
    const answered = ask("fetch", {
      url: input instanceof Request ? input.url : String(input),
      method: String(given.method ?? "GET").toUpperCase(),
      headers: Object.fromEntries(headers),
      body,
      redirect: String(given.redirect ?? "follow"),
    }, asked);
    const aborted = given.signal && new Promise((_, reject) => {
      given.signal.addEventListener("abort", () => reject(given.signal.reason));
    });
    const answer = await (aborted ? Promise.race([answered, aborted]) : answered);
    const content = WITHOUT_BODY.includes(answer.status) ? null : fromBase64(answer.body);
    return completed(new Response(content, { status: answer.status, statusText: answer.status_text, headers: answer.headers }), answer);
  };
  // a page's own Response has no address, and none of the cookies that are set
  const completed = (response, answer) => Object.defineProperties(response, {
    url: { value: answer.url },
    headers: { value: new Headers(answer.headers) },
    clone: { value: () => completed(Response.prototype.clone.call(response), answer) },
  });
  const job = (content) => ask("job", content ?? null, from(job));

  // --- what Node or a page has and a task's script has not; the page's own policy keeps the rest from working
  const NO_RUNTIME = "a task's script runs in a sandbox with Node's modules that need no system";
  const NO_NETWORK = "a task's script uses fetch or require('axios') for requests";
  const refused = (name, reason) => new Proxy(function () {}, {
    apply() { throw refusal(name, reason); },
    construct() { throw refusal(name, reason); },
    get(_, key) { throw refusal(`${name}.${String(key)}`, reason); },
  });
  const define = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  for (const name of ["Deno", "Bun"]) define(name, refused(name, NO_RUNTIME));
  for (const name of ["XMLHttpRequest", "WebSocket", "WebTransport", "EventSource", "RTCPeerConnection", "Worker", "SharedWorker", "open"]) {
    define(name, refused(name, NO_NETWORK));
  }
  define("fetch", fetch);
  define("job", job);
  define("global", globalThis);

  // --- one run
  const modules = parts.modules({ parts, stacks, coded, codeOf, refusal, fetch, toBase64, fromBase64 });
  const { Buffer } = modules.native("buffer");
  define("Buffer", Buffer);
  define("process", modules.native("process"));
  define("setImmediate", (call, ...rest) => setTimeout(call, 0, ...rest));
  define("clearImmediate", (timer) => clearTimeout(timer));

  const KINDS = { function: "a function", symbol: "a symbol", bigint: "a BigInt" };
  const asJson = (value) => {
    if (value === undefined) return "null";
    if (typeof value in KINDS) {
      throw coded(new TypeError(`main returned ${KINDS[typeof value]}, which JSON can't hold`), "no_json");
    }
    let text;
    try { text = toText(value); } catch (error) {
      const circular = error instanceof TypeError && error.message.includes("circular");
      const big = error instanceof TypeError && error.message.includes("BigInt");
      if (!circular && !big) throw error;
      const what = big ? "it holds a BigInt; use Number(value) or String(value)" : `it is circular (${error.message.replace(/\s+/g, " ")})`;
      throw coded(new TypeError(`main's result can't be written as JSON: ${what}`), "no_json");
    }
    const length = typeof value === "string" ? value.length : text?.length ?? 0;
    if (length > limits.result) {
      throw coded(new RangeError(`the result is longer than ${limits.result} characters`), "limit_exceeded");
    }
    return text ?? "null";  // of an object whose toJSON gives nothing
  };
  const fail = (error) => push(["fail", { ...describeError(error), stack: stacks.frames(error) }]);
  let config = {};
  const receivers = {
    begin(given) { config = given; },
    answer(number, value) {
      answers.get(number)?.resolve(value);
      answers.delete(number);
    },
    refuse(number, { name, message, code }) {
      const waiting = answers.get(number);
      if (!waiting) return;
      answers.delete(number);
      const error = coded(Object.assign(new Error(message), { name, code }), code);
      error.stack = `${name}: ${message}\n${waiting.asked.stack}`;
      waiting.reject(error);
    },
  };
  return {
    exchange(messages) { return exchange(messages, receivers); },
    // `listed` describes the script's files; `loaded` are their functions, or the errors that kept them from becoming any
    start(listed, ...loaded) {
      const entry = modules.add(JSON.parse(listed), loaded);
      const run = async () => {
        try {
          const main = modules.main(await modules.start(entry));
          push(["done", asJson(await main(config))]);
        } catch (error) { fail(error); }
      };
      setTimeout(() => run().catch(report)); // in a turn of its own, where the page's policy also forbids eval
    },
  };
}
