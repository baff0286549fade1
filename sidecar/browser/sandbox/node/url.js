// Node's `url`: the standard's classes, and the older `parse`, `format` and `resolve`.
(host) => {
  "use strict";
  const { native } = host;
  const PARTS = /^\s*([a-z][a-z0-9+.-]*:)?(?:(\/\/)(?:([^/?#@]*)@)?([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?\s*$/i;
  const WITH_SLASHES = new Set(["http:", "https:", "ftp:", "file:", "gopher:", "ws:", "wss:"]);
  class Url {
    constructor() {
      Object.assign(this, { protocol: null, slashes: null, auth: null, host: null, port: null, hostname: null, hash: null, search: null, query: null, pathname: null, path: null, href: "" });
    }
    resolve(to) { return resolve(this.href, to); }
    format() { return format(this); }
  }
  const parse = (text, withQuery = false, slashes = false) => {
    if (text instanceof Url) return text;
    if (typeof text !== "string") throw Object.assign(new TypeError(`url.parse takes a string, not ${typeof text}`), { code: "ERR_INVALID_ARG_TYPE" });
    const made = new Url();
    const [, protocol, two, auth, host, tail, question, fragment] = PARTS.exec(text.replace(/[\r\n\t]/g, "")) ?? [];
    const known = protocol?.toLowerCase();
    const withHost = two && (known || slashes);
    if (protocol) made.protocol = known;
    if (withHost) {
      made.slashes = true;
      const [, name, port] = /^(.*?)(?::(\d*))?$/.exec(host.toLowerCase());
      Object.assign(made, { auth: auth === undefined ? null : decodeURIComponent(auth), host: name + (port ? `:${port}` : ""), port: port || null, hostname: name.replace(/^\[|\]$/g, "") });
    }
    const escaped = (text) => text?.replace(/[\s"<>\\^`{|}']/g, (letter) => encodeURIComponent(letter).replace("'", "%27"));
    const [rest, search, hash] = [tail, question, fragment].map(escaped);
    const path = (two && !withHost ? `//${auth === undefined ? "" : `${auth}@`}${host}` : "") + (rest ?? "");
    made.pathname = path || (withHost && WITH_SLASHES.has(known) ? "/" : null);
    made.search = search ?? (withQuery ? "" : null);
    made.query = withQuery ? native("querystring").parse((search ?? "").slice(1)) : search === undefined ? null : search.slice(1);
    made.hash = hash ?? null;
    made.path = (made.pathname ?? "") + (made.search ?? "") || null;
    made.href = format(made);
    return made;
  };
  const format = (given, { fragment = true, search: withSearch = true, auth: withAuth = true } = {}) => {
    if (typeof given === "string") return parse(given).href;
    if (given instanceof URL) {
      const copy = new URL(given);
      if (!fragment) copy.hash = "";
      if (!withSearch) copy.search = "";
      if (!withAuth) copy.username = copy.password = "";
      return copy.href;
    }
    const protocol = given.protocol ? given.protocol.replace(/:?$/, ":") : "";
    const name = given.hostname?.includes(":") ? `[${given.hostname}]` : given.hostname;
    const host = given.host || (name ? name + (given.port ? `:${given.port}` : "") : "");
    const auth = given.auth ? `${encodeURIComponent(given.auth).replace(/%3A/i, ":")}@` : "";
    const query = given.query && typeof given.query === "object" ? native("querystring").stringify(given.query) : given.query;
    const search = given.search || (query ? `?${query}` : "");
    const start = host ? `//${auth}${host}` : given.slashes ? "//" : "";
    const path = (given.pathname ?? "").replace(/[?#]/g, encodeURIComponent);
    const hash = given.hash ? given.hash.replace(/^#?/, "#") : "";
    return protocol + start + (start && path && !path.startsWith("/") ? `/${path}` : path) + search.replace(/^\??(?=.)/, "?").replace("#", "%23") + hash;
  };
  const resolve = (from, to) => {
    const base = new URL(to, new URL(from, "resolve://"));
    const path = base.pathname + base.search + base.hash;
    if (base.protocol !== "resolve:") return base.href;
    return [from, to].some((one) => one.startsWith("/")) ? path : path.slice(1);
  };
  return {
    URL, URLSearchParams, Url, parse, format, resolve,
    resolveObject: (from, to) => parse(resolve(typeof from === "string" ? from : from.href, to)),
    fileURLToPath: (url) => decodeURIComponent(new URL(url).pathname),
    pathToFileURL: (path) => new URL(`file://${encodeURI(native("path").resolve(path)).replace(/[?#]/g, encodeURIComponent)}`),
    domainToASCII: (domain) => { try { return new URL(`http://${domain}`).hostname; } catch { return ""; } },
    urlToHttpOptions: (url) => ({ protocol: url.protocol, hostname: url.hostname, hash: url.hash, search: url.search, pathname: url.pathname, path: url.pathname + url.search, href: url.href, ...(url.port && { port: Number(url.port) }) }),
  };
}
