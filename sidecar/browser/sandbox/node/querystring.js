// Node's `querystring`.
() => {
  "use strict";
  const escape = (value) => encodeURIComponent(String(value).toWellFormed());
  const unescape = (text) => {
    try { return decodeURIComponent(text); } catch { return text.replace(/(?:%[0-9a-f]{2})+/gi, (bytes) => new TextDecoder().decode(Uint8Array.from(bytes.slice(1).split("%"), (byte) => parseInt(byte, 16)))); }
  };
  const plain = (value) => (typeof value === "string" || typeof value === "bigint" || typeof value === "boolean" || Number.isFinite(value) ? String(value) : "");
  const stringify = (object, between, equals, { encodeURIComponent: encode = escape } = {}) =>
    Object.entries(object ?? {}).flatMap(([name, value]) => {
      const start = encode(name) + (equals || "=");
      return (Array.isArray(value) ? value : [value]).map((one) => start + encode(plain(one)));
    }).join(between || "&");
  const parse = (text, separator, assignment, { decodeURIComponent: decode = unescape, maxKeys = 1000 } = {}) => {
    const found = Object.create(null), between = separator || "&", equals = assignment || "=";
    const pairs = typeof text === "string" && text ? text.split(between) : [];
    for (const pair of maxKeys > 0 ? pairs.slice(0, maxKeys) : pairs) {
      if (!pair) continue;
      const at = pair.indexOf(equals);
      const [name, value] = (at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + equals.length)]).map((one) => decode(one.replaceAll("+", " ")));
      if (!(name in found)) found[name] = value;
      else if (Array.isArray(found[name])) found[name].push(value);
      else found[name] = [found[name], value];
    }
    return found;
  };
  return { escape, unescape, stringify, parse, encode: stringify, decode: parse };
}
