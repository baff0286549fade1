// Node's `util`.
() => {
  "use strict";
  const MOST = 100;
  const kind = (value) => Object.prototype.toString.call(value).slice(8, -1);
  const key = (name) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name));
  const quoted = (text) => {
    const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : !/[`]|\$\{/.test(text) ? "`" : "'";
    const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
    return mark + (mark === "'" ? inner.replaceAll("'", "\\'") : inner) + mark;
  };
  const custom = Symbol.for("nodejs.util.inspect.custom");
  const inspect = (value, options = {}) => {
    const { depth = 2 } = typeof options === "object" && options !== null ? options : {};
    const above = [];
    const list = (items, open, close, shown) => {
      const said = items.slice(0, MOST).map(shown);
      if (items.length > MOST) said.push(`... ${items.length - MOST} more items`);
      const line = said.join(", ");
      if (!said.length) return open + close;
      const inside = "  ".repeat(above.length);
      return line.length <= 72 && !line.includes("\n") ? `${open} ${line} ${close}` : `${open}\n${inside}${said.join(`,\n${inside}`)}\n${inside.slice(2)}${close}`;
    };
    const show = (one) => {
      if (typeof one === "string") return quoted(one);
      if (typeof one === "bigint") return `${one}n`;
      if (Object.is(one, -0)) return "-0";
      if (typeof one === "function") {
        const isClass = /^class\b/.test(Function.prototype.toString.call(one));
        return isClass ? `[class ${one.name || "(anonymous)"}]` : `[${kind(one)}${one.name ? `: ${one.name}` : " (anonymous)"}]`;
      }
      if (typeof one !== "object" || one === null) return String(one);
      if (above.includes(one)) return "[Circular *1]";
      if (typeof one[custom] === "function") return String(one[custom](depth - above.length, options, inspect));
      if (one instanceof Error) return one.stack || `${one.name}: ${one.message}`;
      if (one instanceof Date) return Number.isNaN(one.getTime()) ? "Invalid Date" : one.toISOString();
      if (one instanceof RegExp) return String(one);
      if (one instanceof WeakMap || one instanceof WeakSet) return `${kind(one)} { <items unknown> }`;
      const name = one.constructor?.name;
      if (depth !== null && above.length > depth) return Array.isArray(one) ? "[Array]" : `[${name ?? "Object: null prototype"}]`;
      above.push(one);
      try { return structure(one, name); } finally { above.pop(); }
    };
    const structure = (one, name) => {
      if (Array.isArray(one)) return list(one, "[", "]", show).replace(/^\[\]$/, "[]");
      if (one instanceof Map) return list([...one], `Map(${one.size}) {`, "}", ([from, to]) => `${show(from)} => ${show(to)}`);
      if (one instanceof Set) return list([...one], `Set(${one.size}) {`, "}", show);
      if (ArrayBuffer.isView(one) && !(one instanceof DataView)) return list(Array.from(one), `${name}(${one.length}) [`, "]", show);
      const head = name === "Object" ? "" : name ? `${name} ` : "[Object: null prototype] ";
      return head + list(Reflect.ownKeys(one).filter((own) => Object.prototype.propertyIsEnumerable.call(one, own)), "{", "}", (own) => {
        const { get, set, value } = Object.getOwnPropertyDescriptor(one, own);
        return `${typeof own === "symbol" ? `[${String(own)}]` : key(own)}: ${get ? (set ? "[Getter/Setter]" : "[Getter]") : set ? "[Setter]" : show(value)}`;
      });
    };
    return show(value);
  };
  inspect.custom = custom;
  inspect.defaultOptions = {};

  const format = (first, ...rest) => {
    const shown = (value) => (typeof value === "string" ? value : inspect(value));
    if (typeof first !== "string") return [first, ...rest].map(shown).join(" ");
    const DIRECTIVES = {
      s: (value) => (typeof value === "object" && value !== null ? inspect(value, { depth: 0 }) : typeof value === "bigint" ? `${value}n` : String(value)),
      d: (value) => (typeof value === "bigint" ? `${value}n` : typeof value === "object" ? "NaN" : String(Number(value))),
      i: (value) => (typeof value === "bigint" ? `${value}n` : typeof value === "object" ? "NaN" : String(parseInt(value, 10))),
      f: (value) => String(parseFloat(value)),
      j: (value) => { try { return JSON.stringify(value); } catch { return "[Circular]"; } },
      o: (value) => inspect(value), O: (value) => inspect(value), c: () => "",
    };
    const text = rest.length ? first.replace(/%([sdifjoOc%])/g, (whole, letter) => (letter === "%" ? "%" : rest.length ? DIRECTIVES[letter](rest.shift()) : whole)) : first;
    return [text, ...rest.map(shown)].join(" ");
  };

  const promisified = Symbol.for("nodejs.util.promisify.custom");
  const promisify = (call) => {
    if (typeof call !== "function") throw Object.assign(new TypeError(`promisify takes a function, not ${typeof call}`), { code: "ERR_INVALID_ARG_TYPE" });
    if (call[promisified]) return call[promisified];
    const made = function (...args) {
      return new Promise((resolve, reject) => { Reflect.apply(call, this, [...args, (error, value) => (error ? reject(error) : resolve(value))]); });
    };
    return Object.setPrototypeOf(made, Object.getPrototypeOf(call));
  };
  promisify.custom = promisified;
  const later = Object.assign((milliseconds, value) => new Promise((done) => setTimeout(done, milliseconds, value)), {});
  Object.defineProperty(setTimeout, promisified, { value: later, configurable: true });

  const same = (one, other, pairs = new Map()) => {
    if (Object.is(one, other)) return true;
    if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
    if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other) || kind(one) !== kind(other)) return false;
    if (pairs.get(one) === other) return true;
    pairs.set(one, other);
    const deep = (left, right) => same(left, right, pairs);
    if (one instanceof Date) return one.getTime() === other.getTime();
    if (one instanceof RegExp) return String(one) === String(other);
    if (one instanceof Error && (one.message !== other.message || one.name !== other.name)) return false;
    if (one instanceof Map) return one.size === other.size && [...one].every(([name, value]) => other.has(name) && deep(value, other.get(name)));
    if (one instanceof Set) return one.size === other.size && [...one].every((value) => other.has(value) || [...other].some((candidate) => deep(value, candidate)));
    const names = Reflect.ownKeys(one);
    return names.length === Reflect.ownKeys(other).length && names.every((name) => Object.hasOwn(other, name) && deep(one[name], other[name]));
  };

  const isA = (...names) => (value) => names.includes(kind(value));
  const types = {
    isDate: isA("Date"), isRegExp: isA("RegExp"), isMap: isA("Map"), isSet: isA("Set"), isPromise: isA("Promise"), isWeakMap: isA("WeakMap"), isWeakSet: isA("WeakSet"),
    isNativeError: isA("Error"), isSymbolObject: (value) => typeof value === "object" && kind(value) === "Symbol", isArrayBuffer: isA("ArrayBuffer"), isAnyArrayBuffer: isA("ArrayBuffer", "SharedArrayBuffer"), isDataView: isA("DataView"),
    isUint8Array: (value) => value instanceof Uint8Array, isTypedArray: (value) => ArrayBuffer.isView(value) && !(value instanceof DataView), isArrayBufferView: ArrayBuffer.isView,
    isAsyncFunction: isA("AsyncFunction"), isGeneratorFunction: isA("GeneratorFunction", "AsyncGeneratorFunction"), isGeneratorObject: isA("Generator"), isProxy: () => false,
    isBoxedPrimitive: (value) => typeof value === "object" && ["Number", "String", "Boolean", "BigInt", "Symbol"].includes(kind(value)),
  };
  return {
    inspect, format, promisify, types, isDeepStrictEqual: (one, other) => same(one, other),
    formatWithOptions: (_, ...args) => format(...args),
    callbackify: (call) => function (...args) {
      const done = args.pop();
      Reflect.apply(call, this, args).then((value) => queueMicrotask(() => done(null, value)), (error) => queueMicrotask(() => done(error ?? new Error("rejected"))));
    },
    inherits(child, parent) {
      Object.defineProperty(child, "super_", { value: parent, writable: true, configurable: true });
      Object.setPrototypeOf(child.prototype, parent.prototype);
    },
    deprecate: (call) => call,
    debuglog: () => Object.assign(() => {}, { enabled: false }),
    debug: () => Object.assign(() => {}, { enabled: false }),
    stripVTControlCharacters: (text) => text.replace(/\u001b\[[\d;?]*[ -/]*[@-~]/g, ""),
    toUSVString: (text) => String(text).toWellFormed(),
    TextEncoder, TextDecoder,
    isArray: Array.isArray, isDate: types.isDate, isRegExp: types.isRegExp, isError: (value) => value instanceof Error,
    isBoolean: (value) => typeof value === "boolean", isNumber: (value) => typeof value === "number", isString: (value) => typeof value === "string", isSymbol: (value) => typeof value === "symbol",
    isFunction: (value) => typeof value === "function", isObject: (value) => typeof value === "object" && value !== null, isNull: (value) => value === null, isUndefined: (value) => value === undefined,
    isNullOrUndefined: (value) => value === null || value === undefined, isPrimitive: (value) => value === null || !["object", "function"].includes(typeof value),
  };
}
