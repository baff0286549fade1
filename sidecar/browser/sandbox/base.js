// What every sandbox's program stands on: the way out and in, errors, and the console.
//
// `show` gives the text of a program's own objects, and undefined for all others; `locate` says where an error's author
// finds its cause, where that is known.
(limits, show, locate) => {
  "use strict";
  try { Function(""); throw new Error("the page's content security policy is not active"); } catch (error) { if (!(error instanceof EvalError)) throw error; }
  // What the way out is made of is taken before anything else runs here, and keeps to itself: actions may change
  // every prototype, and what leaves must stay as short as it is meant to be.
  const toText = JSON.stringify, fromText = JSON.parse, later = queueMicrotask, Later = Promise;
  const { bind, call } = Function.prototype;
  const of = bind.bind(call);
  const slice = of(String.prototype.slice), asString = String;
  const cut = (text) => slice(asString(text), 0, limits.line);

  // --- messages out: kept until the other side asks for them
  const queue = () => ({ __proto__: null, first: 0, end: 0 });
  const add = (list, text) => { list[list.end++] = text; };
  const take = (list) => { const text = list[list.first]; delete list[list.first++]; return text; };
  const holds = (list) => list.end - list.first;
  const outbox = queue(), lines = queue();
  let waiter = null, planned = false;
  const push = (message) => {
    const text = toText(message);
    if (typeof text !== "string") throw new TypeError("the value can't be written as JSON");
    if (text.length > limits.message) throw tooLarge(`the value is larger than ${limits.message} characters`);
    if (holds(outbox) >= 10_000) throw new RangeError("more than 10,000 calls are waiting");
    add(outbox, text);
    plan();
  };
  const say = (kind, said) => {
    const text = toText([kind, cut(said)]);
    if (typeof text !== "string" || text.length > 10 * limits.line) return;
    add(lines, text);
    if (holds(lines) > limits.lines) take(lines);
    plan();
  };
  const plan = () => {
    if (!planned && waiter) { planned = true; later(flush); }
  };
  const flush = () => {
    planned = false;
    if (!waiter || !(holds(outbox) || holds(lines))) return;
    let all = "", size = 0;
    while (holds(lines)) all += (all && ",") + take(lines);
    while (holds(outbox) && size + outbox[outbox.first].length <= limits.message) {
      const text = take(outbox);
      size += text.length;
      all += (all && ",") + text;
    }
    const answer = waiter;
    waiter = null;
    answer(`[${all}]`);
  };

  // --- messages in: each is handed to the receiver of its kind, and what there is to say goes back
  const exchange = (messages, receivers) => {
    if (waiter) { waiter("[]"); waiter = null; }
    const answer = new Later((resolve) => { waiter = resolve; });
    for (const [kind, ...rest] of fromText(messages)) receivers[kind](...rest);
    plan();
    return answer;
  };

  // --- errors
  const codes = new WeakMap();
  const coded = (error, code) => { codes.set(error, code); return error; };
  const codeOf = (error) => codes.get(error) ?? "";
  const refusal = (what, reason) => coded(new Error(`${what} is refused: ${reason}`), "forbidden");
  const tooLarge = (said) => coded(new RangeError(said), "limit_exceeded");
  const IMPORTED = /^Failed to (resolve module specifier|fetch dynamically imported module)/;
  const describeError = (error, place = locate?.(error) ?? "") => {
    if (!(error instanceof Error)) return { name: "Error", message: cut(inspect(error)), code: "" };
    const imported = error instanceof TypeError && IMPORTED.test(error.message);
    const code = codes.get(error) ?? (imported ? "forbidden" : "");
    return { name: cut(error.name), message: cut(error.message) + (place && ` (${place})`), code };
  };
  const report = (error) => {
    const { name, message } = describeError(error);
    say("error", `${name}: ${message}`);
  };
  addEventListener("unhandledrejection", (event) => { event.preventDefault(); report(event.reason); });
  addEventListener("error", (event) => { event.preventDefault(); report(event.error ?? event.message); });

  // --- code that is made of text: the page's policy forbids it too, but not to what we call ourselves
  const NO_TEXT = "code can't be created from text";
  const textless = (name) => () => { throw refusal(name, NO_TEXT); };
  Object.defineProperty(globalThis, "eval", { value: textless("eval"), configurable: true, writable: true });
  for (const one of [function () {}, async function () {}, function* () {}, async function* () {}]) {
    const kind = Object.getPrototypeOf(one), made = kind.constructor, no = textless(made.name);
    const value = new Proxy(made, { apply: no, construct: no });
    Object.defineProperty(kind, "constructor", { value, configurable: true, writable: true });
    if (made === Function) Object.defineProperty(globalThis, "Function", { value, configurable: true, writable: true });
  }
  for (const name of ["setTimeout", "setInterval"]) {
    const original = globalThis[name];
    globalThis[name] = (handler, ...rest) => {
      if (typeof handler !== "function") throw refusal(`${name} with a text`, NO_TEXT);
      return original(handler, ...rest);
    };
  }

  // --- what the browser itself would have to hold for us, and so for every job: windows, files, canvases, channels.
  // Only what is named stays.
  const KEPT = new Set(`
    AggregateError Array ArrayBuffer AsyncDisposableStack Atomics BigInt BigInt64Array BigUint64Array Boolean DataView
    Date DisposableStack Error EvalError FinalizationRegistry Float16Array Float32Array Float64Array Function Infinity
    Int16Array Int32Array Int8Array Intl Iterator JSON Map Math NaN Number Object Promise Proxy RangeError
    ReferenceError Reflect RegExp Set String SuppressedError Symbol SyntaxError Temporal TypeError URIError Uint16Array
    Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakRef WeakSet console decodeURI decodeURIComponent encodeURI
    encodeURIComponent escape eval globalThis isFinite isNaN parseFloat parseInt undefined unescape
    AbortController AbortSignal ByteLengthQueuingStrategy CompressionStream CountQueuingStrategy Crypto CryptoKey
    CustomEvent DOMException DecompressionStream ErrorEvent Event EventTarget FormData Headers Performance
    PromiseRejectionEvent QuotaExceededError ReadableByteStreamController ReadableStream ReadableStreamBYOBReader
    ReadableStreamBYOBRequest ReadableStreamDefaultController ReadableStreamDefaultReader Request Response SubtleCrypto
    TextDecoder TextDecoderStream TextEncoder TextEncoderStream TransformStream TransformStreamDefaultController URL
    URLPattern URLSearchParams WritableStream WritableStreamDefaultController WritableStreamDefaultWriter
    AbstractRange Attr CDATASection CharacterData Comment DOMImplementation DOMParser DOMStringList DOMStringMap
    DOMTokenList Document DocumentFragment DocumentType Element MathMLElement MutationObserver MutationRecord
    NamedNodeMap Node NodeFilter NodeIterator NodeList ProcessingInstruction RadioNodeList Range ShadowRoot StaticRange
    Text TreeWalker Window XMLDocument XMLSerializer XPathEvaluator XPathExpression XPathResult
    atob btoa clearInterval clearTimeout crypto document frames isSecureContext length location origin parent
    performance queueMicrotask self setInterval setTimeout structuredClone top window`.trim().split(/\s+/));
  const NO_FILES = "the sandbox has no files; use Uint8Array for bytes";
  const drop = (object, ...names) => {
    for (const name of names) Reflect.deleteProperty(object, name);
  };
  const { userAgent, language, languages, platform } = navigator;
  for (const { prototype } of [Blob, File]) drop(prototype, ...Reflect.ownKeys(prototype));  // a form's file field has one
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    // what is not looked at is not even made: most of these are hundreds of classes that wait for their first use
    if (!KEPT.has(name) && !/^(HTML|SVG)\w*(Element|Collection|Document)$/.test(name)) drop(globalThis, name);
  }
  globalThis.navigator = Object.freeze({ userAgent, language, languages, platform });
  drop(HTMLCanvasElement.prototype, "getContext", "toBlob", "toDataURL", "captureStream", "transferControlToOffscreen");
  drop(HTMLMediaElement.prototype, "captureStream", "srcObject", "play", "load");
  drop(URL, "createObjectURL", "revokeObjectURL");
  drop(Document.prototype, "open", "write", "writeln", "append", "prepend", "replaceChildren", "moveBefore", "fonts");
  drop(Range.prototype, "insertNode", "surroundContents", "createContextualFragment");
  for (const name of ["Blob", "File", "FileReader"]) globalThis[name] = function () { throw refusal(name, NO_FILES); };
  for (const { prototype } of [Request, Response]) {
    for (const name of ["blob", "formData"]) prototype[name] = () => { throw refusal(name, NO_FILES); };
  }
  // This page stays empty, and so has no frames and nothing to draw. Documents that are parsed have neither.
  const page = document;
  document.documentElement.remove();
  for (const name of ["appendChild", "insertBefore", "replaceChild"]) {
    const original = Node.prototype[name];
    Node.prototype[name] = { [name](...nodes) {
      if (this === page) throw refusal(`document.${name}`, "the sandbox's own page must stay empty");
      return original.apply(this, nodes);
    } }[name];
  }

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

  return { push, exchange, coded, codeOf, refusal, tooLarge, describeError, report, inspect, toBase64, fromBase64 };
}
