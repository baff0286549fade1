// What actions see: `page`, `context` and all that comes from them, `secrets` and `console`.
//
// Each object here stands for one of the job's, known by a number. A call leaves as a message and its answer comes back
// as one; locators only collect what was asked of them and travel whole with the call that ends them. Values that
// Playwright gives without a wait are copied in before anything runs. Nothing in this file protects anybody: the other
// side checks every message as if this file were not there.
(surface, base) => {
  "use strict";
  const LONGEST_MESSAGE = 16 * 1024 * 1024, DEEPEST = 100, MOST_PARTS = 100_000;
  const { push, exchange, coded, refusal, tooLarge, describeError, report, inspect, toBase64, fromBase64 } = base(
    { message: LONGEST_MESSAGE, lines: 200, line: 8_000 },
    (value) => { const ref = refs.get(value); return ref && `[${ref.type}]`; },
  );
  const toText = JSON.stringify, fromText = JSON.parse, wait = setTimeout, stopWaiting = clearTimeout;
  class TimeoutError extends Error { get name() { return "TimeoutError"; } }

  // --- values
  const refs = new WeakMap();
  const objects = new Map();
  const prototypes = {};
  const make = (type, handle, chain) => {
    const object = Object.create(prototypes[type]);
    refs.set(object, { type, handle, chain, state: {}, listeners: new Map(), routes: [] });
    return object;
  };
  const get = (handle, type) => {
    if (!objects.has(handle)) objects.set(handle, make(type, handle, []));
    return objects.get(handle);
  };
  const refOf = (object) => {
    const ref = refs.get(object);
    if (!ref) throw new TypeError("this method needs the object that it belongs to");
    return ref;
  };
  const target = ({ handle, chain }) => ({ h: handle, c: chain });
  let parts = 0;
  const encode = (value, depth = 0) => {
    if (depth === 0) parts = 0;
    if (++parts > MOST_PARTS) throw tooLarge(`a value has more than ${MOST_PARTS} parts`);
    if (depth > DEEPEST) throw tooLarge(`a value is nested over ${DEEPEST} levels, or contains itself`);
    switch (typeof value) {
      case "string":
        if (value.length > LONGEST_MESSAGE) throw tooLarge("the value is larger than 16 MiB");
        return value;
      case "undefined": case "symbol": return { $: "undefined" };
      case "number": return Number.isFinite(value) && !Object.is(value, -0) ? value : { $: "number", v: String(value) };
      case "bigint": return { $: "bigint", v: String(value) };
      case "function": return { $: "function", v: Function.prototype.toString.call(value) };
      case "object": return value === null ? null : encodeObject(value, depth + 1);
    }
    return value;
  };
  const encodeObject = (value, depth) => {
    const ref = refs.get(value);
    if (ref) return { $: "ref", ...target(ref) };
    if (Array.isArray(value)) return Array.from(value, (item) => encode(item, depth));
    if (value instanceof Date) return { $: "date", v: isNaN(value) ? null : value.toISOString() };
    if (value instanceof RegExp) return { $: "regexp", v: [value.source, value.flags] };
    if (value instanceof Error) return { $: "error", v: `${value.name}: ${value.message}` };
    if (value instanceof URL) return value.href;
    if (value instanceof ArrayBuffer) return { $: "bytes", v: toBase64(new Uint8Array(value)) };
    if (ArrayBuffer.isView(value)) {
      return { $: "bytes", v: toBase64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) };
    }
    if (value instanceof Set) return Array.from(value, (item) => encode(item, depth));
    if (value instanceof Promise) return { $: "undefined" };
    const members = {};
    for (const [name, item] of value instanceof Map ? value : Object.entries(value)) {
      if (item !== undefined) members[String(name)] = encode(item, depth);
    }
    return "$" in members ? { $: "object", v: members } : members;
  };
  const decode = (value) => {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(decode);
    switch (value.$) {
      case undefined: return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, decode(item)]));
      case "ref": return get(value.h, value.t);
      case "number": return Number(value.v);
      case "bigint": return BigInt(value.v);
      case "date": return new Date(value.v);
      case "bytes": return new Bytes(value.v);
      case "error": return Object.assign(new Error(value.v.message), { name: value.v.name, stack: value.v.stack });
      case "object": return Object.fromEntries(Object.entries(value.v).map(([name, item]) => [name, decode(item)]));
    }
    return undefined;
  };
  class Bytes extends Uint8Array {
    constructor(text) {
      if (typeof text !== "string") return super(text);
      super(fromBase64(text));
    }
    toString(encoding = "utf8") {
      return encoding === "base64" ? toBase64(this) : new TextDecoder().decode(this);
    }
  }

  // --- calls
  const answers = new Map();
  let lastCall = 0;
  const send = (kind, ...rest) => {
    const id = ++lastCall;
    push([kind, id, ...rest]);
    return new Promise((resolve, reject) => answers.set(id, { resolve, reject }));
  };
  const call = (object, name, args) => {
    const ref = refOf(object);
    return send("call", target(ref), name, args.map((one) => encode(one)));
  };
  const extend = (object, type, name, args) => {
    const { handle, chain } = refOf(object);
    return make(type, handle, [...chain, [name, args.map((one) => encode(one))]]);
  };

  // --- events
  const listen = (object, event, handler, { once = false, first = false } = {}) => {
    const { type, handle, listeners } = refOf(object);
    if (!surface.events[type]?.includes(event)) throw new TypeError(`${type} has no event ${inspect(event)}`);
    if (typeof handler !== "function") throw new TypeError(`the handler of ${event} is not a function`);
    if (!listeners.get(event)?.length) { listeners.set(event, []); push(["on", handle, event]); }
    listeners.get(event)[first ? "unshift" : "push"]({ handler, once });
    return object;
  };
  const unlisten = (object, event, handler) => {
    const { handle, listeners } = refOf(object);
    const found = listeners.get(event) ?? [];
    const index = found.findLastIndex((one) => !handler || one.handler === handler);
    if (index < 0) return object;
    found.splice(handler ? index : 0, handler ? 1 : found.length);
    if (!found.length) push(["off", handle, event]);
    return object;
  };
  const handle = async (handler, ...args) => {
    try { await handler(...args); } catch (error) { report(error); }
  };
  const emit = async (object, event, value, number) => {
    const handlers = [...refOf(object).listeners.get(event) ?? []];
    await Promise.all(handlers.map(({ handler, once }) => {
      if (once) unlisten(object, event, handler);
      return handle(handler, value);
    }));
    if (number !== null && !refs.get(value)?.awaited) push(["handled", number]);
  };

  // --- waits
  const timeouts = { ordinary: 30_000, navigation: undefined };
  const within = (milliseconds, what, begin) => new Promise((resolve, reject) => {
    let end = () => {};
    const timer = milliseconds && wait(() => finish(reject, new TimeoutError(`Timeout ${milliseconds}ms exceeded while waiting for ${what}`)), milliseconds);
    const finish = (settle, value) => { end(); stopWaiting(timer); settle(value); };
    end = begin((value) => finish(resolve, value), (error) => finish(reject, error)) ?? end;
  });
  const waitForEvent = (object, event, given) => {
    const { predicate, timeout = timeouts.ordinary } = typeof given === "function" ? { predicate: given } : given ?? {};
    return within(timeout, `event "${event}"`, (done, fail) => {
      const listener = async (value) => {
        try {
          if (predicate && !await predicate(value)) return;
          if (event === "dialog") refOf(value).awaited = true;
          done(value);
        } catch (error) { fail(error); }
      };
      listen(object, event, listener);
      return () => unlisten(object, event, listener);
    });
  };
  const watchers = new Set();
  const waitForURL = async (frame, wanted, { timeout = timeouts.navigation ?? timeouts.ordinary, waitUntil = "load" } = {}) => {
    const matches = matcher(wanted);
    const began = performance.now();
    if (!matches(frame.url())) {
      await within(timeout, `a URL that matches ${inspect(wanted)}`, (done, fail) => {
        const look = () => { try { if (matches(frame.url())) done(); } catch (error) { fail(error); } };
        watchers.add(look);
        return () => watchers.delete(look);
      });
    }
    const left = timeout && Math.max(1, timeout - (performance.now() - began));
    if (waitUntil !== "commit") await frame.waitForLoadState(waitUntil, { timeout: left });
  };
  const waitForNavigation = async (frame, { url, timeout = timeouts.navigation ?? timeouts.ordinary, waitUntil = "load" } = {}) => {
    const matches = matcher(url ?? /^/);
    const predicate = (navigated) => navigated === frame && matches(frame.url());
    await waitForEvent(frame.page(), "framenavigated", { predicate, timeout });
    if (waitUntil !== "commit") await frame.waitForLoadState(waitUntil, { timeout });
    return null;
  };
  const matcher = (wanted) => {
    if (typeof wanted === "function") return (url) => wanted(new URL(url));
    if (wanted instanceof RegExp) {
      const expression = new RegExp(wanted.source, wanted.flags.replace(/[gy]/g, ""));
      return (url) => expression.test(url);
    }
    if (typeof wanted !== "string") throw new TypeError("a URL pattern must be a string, a regular expression or a function");
    const expression = fromGlob(wanted);
    return (url) => url === wanted || expression.test(url) || (URL.canParse(wanted) && new URL(wanted).href === url);
  };
  const fromGlob = (glob) => {
    const parts = glob.matchAll(/\\(.)|(\*\*\/?)|(\*)|(\{)|(\})|(,)|([^])/g);
    let inside = false, pattern = "";
    for (const [all, escaped, deep, flat, opens, closes, comma] of parts) {
      if (escaped) pattern += escaped.replace(/[$^+.*()|\\?{}[\]]/, "\\$&");
      else if (deep) pattern += deep.endsWith("/") ? "((.+/)|)" : "(.*)";
      else if (flat) pattern += "([^/]*)";
      else if (opens) { inside = true; pattern += "("; }
      else if (closes) { inside = false; pattern += ")"; }
      else if (comma) pattern += inside ? "|" : ",";
      else pattern += all.replace(/[$^+.*()|\\?{}[\]]/, "\\$&");
    }
    return new RegExp(`^${pattern}$`);
  };

  // --- bodies: copied in as text where an action names them, and read as JSON only here
  const bodyOf = (request) => {
    const { post_data: text } = refOf(request).state;
    if (text === undefined) throw new TypeError("the body of a request is available only to actions whose source contains postData");
    if (text?.over) throw tooLarge(`the body of the request is larger than ${text.over >> 20} MiB`);
    return text;
  };
  const bodyAsJSON = (request) => {
    const text = bodyOf(request);
    if (text === null) return null;
    const form = request.headers()["content-type"]?.includes("application/x-www-form-urlencoded");
    return form ? Object.fromEntries(new URLSearchParams(text)) : fromText(text);
  };

  // --- routes: all requests come here once one is routed, and go on where no handler wants them
  const route = async (object, url, handler, { times } = {}) => {
    const ref = refOf(object), matches = matcher(url);
    if (typeof handler !== "function") throw new TypeError("the handler of a route is not a function");
    ref.routes.unshift({ url, matches, handler, times });
    if (!ref.routed) await (ref.routed = send("route", ref.handle));
  };
  const unroute = async (object, url, handler) => {
    const ref = refOf(object);
    ref.routes = ref.routes.filter((one) => String(one.url) !== String(url) || (handler && one.handler !== handler));
  };
  const runRoutes = async (object, routed) => {
    const owner = refOf(object), request = routed.request();
    let changes = {};
    for (const entry of [...owner.routes]) {
      if (!entry.matches(request.url())) continue;
      if (entry.times !== undefined && --entry.times <= 0) owner.routes = owner.routes.filter((one) => one !== entry);
      const ref = refOf(routed);
      const decided = new Promise((resolve) => { ref.decide = resolve; });
      let failed = false;
      try { await entry.handler(routed, request); } catch (error) {
        const { message, code } = describeError(error);
        if (code === "forbidden") {  // it was to be answered in a way that is not open to actions: then not at all
          push(["refused", message]);
          await call(routed, "abort", ["blockedbyclient"]).catch(() => {});
          return;
        }
        failed = true;
        report(error);
      }
      const decision = failed ? await Promise.race([decided, {}]) : await decided;
      if (decision === "answered") return;
      changes = { ...changes, ...decision };
    }
    await handle(() => call(routed, "fallback", [changes]));
  };

  // --- the classes
  const asText = (script, arg) => {
    if (typeof script === "function") return `(${script})(${arg === undefined ? "" : toText(arg)})`;
    return typeof script === "object" && script !== null ? script.content : script;
  };
  const named = (object, method, returns, property) => property
    ? { get() { return extend(this, returns, method, []); } }
    : { value(...args) { return extend(this, returns, method, args); } };
  for (const [type, listed] of Object.entries(surface.classes)) {
    const members = {};
    for (const [name, method, kind, returns, property] of listed) {
      members[name] = kind === "chain"
        ? named(type, method, returns, property)
        : { value(...args) { return call(this, method, args); } };
    }
    for (const [name, state] of surface.states[type] ?? []) {
      members[name] = { value() { return refOf(this).state[state]; } };
    }
    for (const [name, reason] of Object.entries(surface.refused[type] ?? {})) {
      members[name] = { get() { throw refusal(`${type}.${name}`, reason); } };
    }
    const own = { [type]: class {} }[type];
    prototypes[type] = own.prototype;
    for (const member of Object.values(members)) member.configurable = true;
    Object.defineProperties(own.prototype, members);
  }
  const add = (type, methods) => {
    for (const [name, value] of Object.entries(methods)) {
      Object.defineProperty(prototypes[type], name, { value, configurable: true, writable: true });
    }
  };
  const timeoutSetters = (type) => {
    const { setDefaultTimeout, setDefaultNavigationTimeout } = prototypes[type];
    add(type, {
      setDefaultTimeout(milliseconds) { timeouts.ordinary = milliseconds; return setDefaultTimeout.call(this, milliseconds); },
      setDefaultNavigationTimeout(milliseconds) {
        timeouts.navigation = milliseconds;
        return setDefaultNavigationTimeout.call(this, milliseconds);
      },
    });
  };
  for (const type of ["Page", "BrowserContext"]) {
    timeoutSetters(type);
    add(type, {
      on(event, handler) { return listen(this, event, handler); },
      once(event, handler) { return listen(this, event, handler, { once: true }); },
      addListener(event, handler) { return listen(this, event, handler); },
      prependListener(event, handler) { return listen(this, event, handler, { first: true }); },
      off(event, handler) { return unlisten(this, event, handler); },
      removeListener(event, handler) { return unlisten(this, event, handler); },
      removeAllListeners(event) {
        for (const name of event ? [event] : [...refOf(this).listeners.keys()]) unlisten(this, name);
        return this;
      },
      waitForEvent(event, given) { return waitForEvent(this, event, given); },
      route(url, handler, options) { return route(this, url, handler, options); },
      unroute(url, handler) { return unroute(this, url, handler); },
      async unrouteAll() { refOf(this).routes = []; },
      addInitScript(script, arg) {
        if (script?.path !== undefined) return call(this, "add_init_script", [undefined, { path: script.path }]);
        return call(this, "add_init_script", [asText(script, arg)]);
      },
    });
  }
  const waitForTraffic = (event) => function (wanted, options) {
    const predicate = typeof wanted === "function" ? wanted : ((matches) => (one) => matches(one.url()))(matcher(wanted));
    return waitForEvent(this, event, { ...options, predicate });
  };
  const overlays = new Map();
  add("Page", {
    async addLocatorHandler(locator, handler, { times = null, noWaitAfter = null } = {}) {
      if (refs.get(locator)?.type !== "Locator") throw new TypeError("addLocatorHandler needs a locator");
      if (typeof handler !== "function") throw new TypeError("the handler of a locator is not a function");
      const id = overlays.size;
      overlays.set(id, () => handle(handler, locator));
      await send("add_overlay", target(refOf(this)), target(refOf(locator)), id, { times, noWaitAfter });
    },
    frame(wanted) {
      const { name, url } = typeof wanted === "string" ? { name: wanted } : wanted;
      const fits = url === undefined ? () => true : matcher(url);
      return this.frames().find((frame) => (name === undefined || frame.name() === name) && fits(frame.url())) ?? null;
    },
    waitForURL(url, options) { return waitForURL(this.mainFrame(), url, options); },
    waitForNavigation(options) { return waitForNavigation(this.mainFrame(), options); },
    waitForRequest: waitForTraffic("request"),
    waitForResponse: waitForTraffic("response"),
  });
  add("Frame", {
    waitForURL(url, options) { return waitForURL(this, url, options); },
    waitForNavigation(options) { return waitForNavigation(this, options); },
  });
  const { normalize } = prototypes.Locator;
  add("Locator", {
    async all() { return Array.from({ length: await this.count() }, (_, index) => this.nth(index)); },
    page() {
      const { handle, page } = refOf(this), root = objects.get(handle);
      return page ?? (refOf(root).type === "Page" ? root : root.page());
    },
    description() {
      const [name, args] = refOf(this).chain.at(-1) ?? [];
      return name === "describe" ? args[0] : null;
    },
    async normalize() {
      const found = await normalize.call(this);
      refOf(found).page = this.page();
      return found;
    },
  });
  add("Request", {
    postData() { return bodyOf(this); },
    postDataBuffer() { const text = bodyOf(this); return text && new Bytes(toBase64(new TextEncoder().encode(text))); },
    postDataJSON() { return bodyAsJSON(this); },
  });
  add("Response", { async json() { return fromText(await this.text()); } });
  add("JSHandle", { asElement() { return null; } });
  add("ElementHandle", { asElement() { return this; } });
  for (const name of ["abort", "continue", "fulfill"]) {
    const original = prototypes.Route[name];
    add("Route", { [name](...args) {
      const answering = original.apply(this, args);  // what can't be sent is no answer
      refOf(this).decide?.("answered");
      return answering;
    } });
  }
  add("Route", { async fallback(changes = {}) { refOf(this).decide?.(changes); } });

  // --- Playwright's names in Python, for whoever has written actions with them
  const snake = (name) => name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").replace(/([A-Z])([A-Z][a-z])/g, "$1_$2").toLowerCase();
  for (const [type, prototype] of Object.entries(prototypes)) {
    const python = new Map(surface.classes[type].map(([name, method]) => [name, method]));
    for (const [name, member] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      const alias = python.get(name) ?? snake(name);
      if (!(alias in prototype)) Object.defineProperty(prototype, alias, member);
    }
  }

  // --- what a page has and an action does not; the page's own policy keeps the rest from working
  for (const name of ["fetch", "XMLHttpRequest", "WebSocket", "WebTransport", "EventSource", "RTCPeerConnection", "Worker", "SharedWorker", "open"]) {
    globalThis[name] = function () { throw refusal(name, "an action has no network; use page.evaluate"); };
  }

  // --- messages in
  const receivers = {
    state(handle, type, state) {
      Object.assign(refOf(get(handle, type)).state, decode(state));
    },
    answer(id, value) {
      answers.get(id)?.resolve(decode(value));
      answers.delete(id);
    },
    refuse(id, { name, message, code }) {
      const error = coded(name === "TimeoutError" ? new TimeoutError(message) : new Error(message), code);
      answers.get(id)?.reject(error);
      answers.delete(id);
    },
    event(handle, type, event, value, number) {
      const object = get(handle, type), given = decode(value);
      if (event === "route") observe(runRoutes(object, given));
      else observe(emit(object, event, given, number));
    },
    overlay(id, number) {
      observe(overlays.get(id)().then(() => push(["overlay_handled", number])));
    },
    begin(page, context, secrets) {
      const fixed = { page: get(page, "Page"), context: get(context, "BrowserContext"), secrets: deepFreeze(secrets) };
      for (const [name, value] of Object.entries(fixed)) Object.defineProperty(globalThis, name, { value, configurable: true });
    },
  };
  const observe = (promise) => promise.catch(report);
  const deepFreeze = (value) => {
    if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
    return value;
  };
  return {
    exchange(messages) {
      const answer = exchange(messages, receivers);
      for (const look of [...watchers]) look();
      return answer;
    },
    settle(number, value) {
      const settled = async () => {
        try { push(["done", number, encode(await value)]); } catch (error) { push(["fail", number, describeError(error)]); }
      };
      observe(settled());
    },
    fail(number, error, place) { push(["fail", number, describeError(error, place)]); },
  };
}
