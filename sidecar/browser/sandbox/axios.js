// `axios` over the sidecar's `fetch`: its calls, defaults, interceptors and errors. An answer holds plain data only, so
// that it can be written as JSON.
(host) => {
  "use strict";
  const { fetch, coded, codeOf, refusal, toBase64 } = host;
  const METHODS = ["get", "delete", "head", "options", "post", "put", "patch"];
  const WITH_DATA = ["post", "put", "patch"];
  const FORM = "application/x-www-form-urlencoded;charset=utf-8";
  const isPlain = (value) => value !== null && typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value));
  const isBytes = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value);

  // --- headers: an object whose names are found in any case
  class AxiosHeaders {
    constructor(...given) { for (const one of given) this.set(one); }
    static from(given) { return given instanceof AxiosHeaders ? given : new AxiosHeaders(given); }
    static concat(...given) { return new AxiosHeaders(...given); }
    #name(name) { return Object.keys(this).find((one) => one.toLowerCase() === String(name).toLowerCase()) ?? String(name); }
    set(name, value, rewrite = true) {
      if (typeof name !== "string") {
        const pairs = typeof name?.entries === "function" ? [...name.entries()] : Object.entries(name ?? {});
        for (const [one, given] of pairs) this.set(one, given, value ?? true);
        return this;
      }
      const own = this.#name(name);
      if (value === undefined || value === null || (rewrite === false && this[own] !== undefined)) return this;
      this[own] = value === false ? false : Array.isArray(value) ? value.map(String) : String(value);
      return this;
    }
    get(name) { return this[this.#name(name)]; }
    has(name) { return this[this.#name(name)] !== undefined; }
    delete(name) {
      const own = this.#name(name);
      return this.has(own) && delete this[own];
    }
    clear() { for (const name of Object.keys(this)) delete this[name]; return true; }
    normalize() { return this; }
    concat(...given) { return new AxiosHeaders(this, ...given); }
    toJSON() { return Object.fromEntries(Object.entries(this).filter(([, value]) => value !== false)); }
    getContentType() { return this.get("content-type"); }
    setContentType(value, rewrite) { return this.set("Content-Type", value, rewrite); }
    hasContentType() { return this.has("content-type"); }
    setAuthorization(value, rewrite) { return this.set("Authorization", value, rewrite); }
    getAuthorization() { return this.get("authorization"); }
    setAccept(value, rewrite) { return this.set("Accept", value, rewrite); }
    *[Symbol.iterator]() { yield* Object.entries(this.toJSON()); }
  }

  // --- errors
  class AxiosError extends Error {
    constructor(message, code, config, request, response) {
      super(message);
      Object.defineProperty(this, "name", { value: "AxiosError", writable: true, configurable: true });
      this.isAxiosError = true;
      if (code) this.code = code;
      if (config) this.config = config;
      if (request) this.request = request;
      if (response) {
        this.response = response;
        this.status = response.status;
      }
    }
    toJSON() {
      const { message, name, stack, config, code, status = null } = this;
      return { message, name, stack, config, code, status };
    }
    static from(error, code, config, request, response) {
      const made = new AxiosError(error.message, code ?? error.code, config, request, response);
      made.cause = error;
      made.stack = error.stack;
      return made;
    }
  }
  for (const code of ["ERR_BAD_OPTION_VALUE", "ERR_BAD_OPTION", "ECONNABORTED", "ETIMEDOUT", "ERR_NETWORK", "ERR_FR_TOO_MANY_REDIRECTS", "ERR_DEPRECATED", "ERR_BAD_RESPONSE", "ERR_BAD_REQUEST", "ERR_CANCELED", "ERR_NOT_SUPPORT", "ERR_INVALID_URL"]) {
    AxiosError[code] = code;
  }
  class CanceledError extends AxiosError {
    constructor(message, config) {
      super(message ?? "canceled", "ERR_CANCELED", config);
      Object.defineProperty(this, "name", { value: "CanceledError", writable: true, configurable: true });
      this.__CANCEL__ = true;
    }
  }
  const isCancel = (value) => Boolean(value?.__CANCEL__);
  class CancelToken {
    constructor(executor) {
      this.promise = new Promise((resolve) => {
        executor((message, config) => {
          if (this.reason) return;
          this.reason = new CanceledError(message, config);
          resolve(this.reason);
        });
      });
    }
    throwIfRequested() { if (this.reason) throw this.reason; }
    subscribe(listener) { this.promise.then(listener); }
    static source() {
      let cancel;
      const token = new CancelToken((given) => { cancel = given; });
      return { token, cancel };
    }
  }

  // --- addresses
  const encode = (text) => encodeURIComponent(text).replace(/%3A/gi, ":").replace(/%24/g, "$").replace(/%2C/gi, ",").replace(/%20/g, "+");
  const pairsOf = (value, name, indexes) => {
    if (value === undefined || value === null) return [];
    if (value instanceof Date) return [[name, value.toISOString()]];
    if (value instanceof URLSearchParams) return [...value];
    if (Array.isArray(value)) {
      return value.flatMap((one, index) => {
        const deep = one !== null && typeof one === "object";
        const suffix = indexes === null ? "" : indexes || deep ? `[${index}]` : "[]";
        return one === null || one === undefined ? [] : pairsOf(one, name + suffix, indexes);
      });
    }
    if (typeof value === "object") return Object.entries(value).flatMap(([key, one]) => pairsOf(one, name ? `${name}[${key}]` : key, indexes));
    return [[name, String(value)]];
  };
  const serialize = (params, options = {}) => {
    if (!params) return "";
    const custom = typeof options === "function" ? options : options.serialize;
    if (custom) return String(custom(params, options));
    if (params instanceof URLSearchParams) return params.toString();
    const spell = options.encode ? (text) => options.encode(text, encode) : encode;
    return pairsOf(params, "", options.indexes ?? (options.indexes === null ? null : false)).map(([name, value]) => `${spell(name)}=${spell(value)}`).join("&");
  };
  const isAbsolute = (url) => /^([a-z][a-z\d+.-]*:)?\/\//i.test(url);
  const addressOf = ({ url = "", baseURL, params, paramsSerializer, allowAbsoluteUrls = true }) => {
    const path = String(url);
    const whole = baseURL && !(isAbsolute(path) && allowAbsoluteUrls) ? (path ? `${baseURL.replace(/\/?\/$/, "")}/${path.replace(/^\/+/, "")}` : baseURL) : path;
    const query = serialize(params, paramsSerializer);
    if (!query) return whole;
    const bare = whole.replace(/#.*$/s, "");
    return bare + (bare.includes("?") ? "&" : "?") + query;
  };

  // --- bodies
  const toForm = (data, form = new FormData()) => {
    for (const [name, value] of pairsOf(data, "", false)) form.append(name, value);
    return form;
  };
  const transformRequest = [(data, headers) => {
    const type = headers.getContentType() || "";
    if (data instanceof FormData || isBytes(data) || data instanceof ReadableStream) return isBytes(data) && !ArrayBuffer.isView(data) ? new Uint8Array(data) : data;
    if (data instanceof URLSearchParams) {
      headers.setContentType(FORM, false);
      return data.toString();
    }
    const isObject = data !== null && typeof data === "object";
    if (isObject && type.includes("application/x-www-form-urlencoded")) return serialize(data);
    if (isObject && type.includes("multipart/form-data")) return toForm(data);
    if (isObject || type.includes("application/json")) {
      headers.setContentType("application/json", false);
      if (typeof data !== "string") return JSON.stringify(data);
      try { JSON.parse(data); return data; } catch { return JSON.stringify(data); }
    }
    return data;
  }];
  const transformResponse = [function (data) {
    const { responseType, transitional = {} } = this;
    if (typeof data !== "string" || !data || (responseType && responseType !== "json")) return data;
    try { return JSON.parse(data); } catch (error) {
      if (responseType !== "json" || transitional.silentJSONParsing !== false) return data;
      throw AxiosError.from(error, "ERR_BAD_RESPONSE", this, undefined, this.response);
    }
  }];
  const defaults = () => ({
    method: "get",
    timeout: 0,
    headers: { common: { Accept: "application/json, text/plain, */*" }, delete: {}, get: {}, head: {}, post: {}, put: {}, patch: {} },
    transformRequest,
    transformResponse,
    validateStatus: (status) => status >= 200 && status < 300,
  });

  // --- configurations
  const copied = (value) => (Array.isArray(value) ? value.map(copied) : isPlain(value) ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, copied(one)])) : value);
  const merged = (one, other) => {
    if (!isPlain(one) || !isPlain(other)) return copied(other === undefined ? one : other);
    const names = new Set([...Object.keys(one), ...Object.keys(other)]);
    return Object.fromEntries([...names].map((name) => [name, merged(one[name], other[name])]));
  };
  const OWN = ["url", "method", "data"];  // never a default
  const mergeConfig = (base, given) => {
    const found = {};
    for (const name of new Set([...Object.keys(base), ...Object.keys(given)])) {
      const plain = (value) => (value instanceof AxiosHeaders ? { ...value } : value);
      const value = OWN.includes(name) && !(name === "method" && given.method === undefined) ? copied(given[name]) : merged(plain(base[name]), plain(given[name]));
      if (value !== undefined) found[name] = value;
    }
    return found;
  };
  const headersOf = (config) => {
    const { common, ...rest } = config.headers ?? {};
    const own = Object.fromEntries(Object.entries(rest).filter(([name]) => ![...METHODS, "query"].includes(name)));
    return new AxiosHeaders(common, rest[config.method], own);
  };

  // --- one request
  const TEXTS = { arraybuffer: (response) => response.arrayBuffer(), bytes: (response) => response.arrayBuffer() };
  const REFUSED = ["blob", "document", "stream"];
  const signalOf = (config) => {
    const controller = new AbortController();
    const { signal, cancelToken, timeout } = config;
    const cancel = (reason) => controller.abort(reason instanceof CanceledError ? reason : new CanceledError(undefined, config));
    if (signal?.aborted) cancel();
    signal?.addEventListener?.("abort", () => cancel());
    cancelToken?.subscribe(cancel);
    const late = () => new AxiosError(config.timeoutErrorMessage || `timeout of ${timeout}ms exceeded`, config.transitional?.clarifyTimeoutError ? "ETIMEDOUT" : "ECONNABORTED", config);
    const timer = timeout > 0 ? setTimeout(() => controller.abort(late()), timeout) : undefined;
    return { signal: controller.signal, end: () => clearTimeout(timer) };
  };
  const received = (headers) => {
    const found = new AxiosHeaders(headers);
    const cookies = headers.getSetCookie();
    if (cookies.length) found["set-cookie"] = cookies;
    return found;
  };
  const adapter = async (config) => {
    if (REFUSED.includes(config.responseType)) {
      throw coded(new AxiosError(`responseType '${config.responseType}' is refused: a task's script reads json, text or arraybuffer`, "ERR_NOT_SUPPORT", config), "forbidden");
    }
    const headers = new AxiosHeaders(config.headers);
    if (config.auth) {
      const bytes = new TextEncoder().encode(`${config.auth.username ?? ""}:${config.auth.password ?? ""}`);
      headers.set("Authorization", `Basic ${toBase64(bytes)}`);
    }
    const body = config.data ?? undefined;
    if (body instanceof FormData && !/boundary=/.test(headers.getContentType() ?? "")) headers.delete("content-type");
    const { signal, end } = signalOf(config);
    try {
      const options = { method: config.method.toUpperCase(), headers: headers.toJSON(), body, signal, redirect: config.maxRedirects === 0 ? "manual" : "follow" };
      const response = await fetch(addressOf(config), options);
      const read = TEXTS[config.responseType] ?? ((one) => one.text());
      return { data: await read(response), status: response.status, statusText: response.statusText, headers: received(response.headers), config };
    } catch (error) {
      if (error instanceof AxiosError) throw error;
      // what the sidecar has refused keeps its code, for the run that fails with it
      throw coded(AxiosError.from(error, "ERR_NETWORK", config), codeOf(error));
    } finally { end(); }
  };
  const transformed = (config, transforms, data, headers, status) => [transforms].flat().reduce((value, transform) => (transform ? Reflect.apply(transform, config, [value, headers, status]) : value), data);
  const checkCancelled = (config) => {
    config.cancelToken?.throwIfRequested();
    if (config.signal?.aborted) throw new CanceledError(undefined, config);
  };
  const settle = (response) => {
    const { config, status } = response;
    if (!status || !config.validateStatus || config.validateStatus(status)) return response;
    throw new AxiosError(`Request failed with status code ${status}`, status >= 400 && status < 500 ? "ERR_BAD_REQUEST" : "ERR_BAD_RESPONSE", config, undefined, response);
  };
  const dispatch = async (config) => {
    checkCancelled(config);
    config.headers = AxiosHeaders.from(config.headers);
    config.data = transformed(config, config.transformRequest, config.data, config.headers);
    if (WITH_DATA.includes(config.method)) config.headers.setContentType("application/x-www-form-urlencoded", false);
    const run = typeof config.adapter === "function" ? config.adapter : adapter;
    const decoded = (response) => {
      response.headers = AxiosHeaders.from(response.headers);
      response.data = transformed({ ...config, response }, config.transformResponse, response.data, response.headers, response.status);
      return response;
    };
    let response;
    try { response = await run(config); } catch (error) {
      if (error?.response && !isCancel(error)) decoded(error.response);
      throw error;
    }
    checkCancelled(config);
    return settle(decoded(response));
  };

  // --- instances
  class InterceptorManager {
    constructor() { this.handlers = []; }
    use(fulfilled, rejected, { runWhen } = {}) { return this.handlers.push({ fulfilled, rejected, runWhen }) - 1; }
    eject(id) { if (this.handlers[id]) this.handlers[id] = null; }
    clear() { this.handlers = []; }
    forEach(call) { this.handlers.filter(Boolean).forEach(call); }
  }
  class Axios {
    constructor(base = {}) {
      this.defaults = base;
      this.interceptors = { request: new InterceptorManager(), response: new InterceptorManager() };
    }
    async request(url, given = {}) {
      const asked = typeof url === "string" || url instanceof URL ? { ...given, url: String(url) } : url ?? {};
      const config = mergeConfig(this.defaults, asked);
      config.method = String(config.method || "get").toLowerCase();
      config.headers = headersOf(config);
      const before = [], after = [];
      this.interceptors.request.forEach((one) => { if (!one.runWhen || one.runWhen(config)) before.unshift(one); });
      this.interceptors.response.forEach((one) => after.push(one));
      // awaited one by one, and not chained, so that a stack leads back to the caller
      let value = config, failed = false;
      for (const { fulfilled, rejected } of [...before, { fulfilled: dispatch }, ...after]) {
        const handler = failed ? rejected : fulfilled;
        if (!handler) continue;
        try {
          value = await handler(value);
          failed = false;
        } catch (error) {
          value = error;
          failed = true;
        }
      }
      if (failed) throw value;
      return value;
    }
    getUri(given) { return addressOf(mergeConfig(this.defaults, given ?? {})); }
  }
  for (const method of METHODS) {
    Axios.prototype[method] = WITH_DATA.includes(method)
      ? function (url, data, config) { return this.request({ ...config, method, url, data }); }
      : function (url, config) { return this.request({ ...config, method, url, data: config?.data }); };
    if (WITH_DATA.includes(method)) {
      Axios.prototype[`${method}Form`] = function (url, data, config) {
        return this.request({ ...config, method, url, data, headers: { ...config?.headers, "Content-Type": "multipart/form-data" } });
      };
    }
  }

  const instance = (base) => {
    const context = new Axios(base);
    const made = (...args) => context.request(...args);
    for (const name of Object.getOwnPropertyNames(Axios.prototype)) {
      if (name !== "constructor") made[name] = context[name].bind(context);
    }
    made.defaults = context.defaults;
    made.interceptors = context.interceptors;
    made.create = (given) => instance(mergeConfig(base, given ?? {}));
    return made;
  };
  const axios = instance(defaults());
  const formToJSON = (form) => {
    const found = {};
    for (const [name, value] of form) {
      const pieces = [...name.matchAll(/[^[\]]+|\[\]/g)].map(([piece]) => (piece === "[]" ? "" : piece));
      let at = found;
      pieces.forEach((piece, index) => {
        if (["__proto__", "constructor", "prototype"].includes(piece)) return;
        const last = index === pieces.length - 1;
        const slot = piece === "" && Array.isArray(at) ? at.length : piece;
        if (last) at[slot] = Object.hasOwn(at, slot) ? [at[slot], value].flat() : value;
        else at = at[slot] ??= pieces[index + 1] === "" ? [] : {};
      });
    }
    return found;
  };
  return Object.assign(axios, {
    Axios, AxiosError, AxiosHeaders, CanceledError, CancelToken, Cancel: CanceledError, isCancel, mergeConfig, formToJSON,
    VERSION: "1.0.0",
    all: (promises) => Promise.all(promises),
    spread: (call) => (list) => call(...list),
    isAxiosError: (value) => value !== null && typeof value === "object" && value.isAxiosError === true,
    toFormData: toForm,
    getAdapter: () => adapter,
    HttpStatusCode: { Ok: 200, Created: 201, Accepted: 202, NoContent: 204, MovedPermanently: 301, Found: 302, NotModified: 304, BadRequest: 400, Unauthorized: 401, Forbidden: 403, NotFound: 404, Conflict: 409, Gone: 410, UnprocessableEntity: 422, TooManyRequests: 429, InternalServerError: 500, BadGateway: 502, ServiceUnavailable: 503, GatewayTimeout: 504 },
    default: axios,
  });
}
