// Node's `buffer`: bytes as `Uint8Array` with Node's methods.
(host) => {
  "use strict";
  const { toBase64, fromBase64 } = host;
  const UTF8 = new TextEncoder();
  const NAMES = { "utf-8": "utf8", "ucs2": "utf16le", "ucs-2": "utf16le", "utf-16le": "utf16le", binary: "latin1" };
  const known = (encoding = "utf8") => {
    const lower = String(encoding ?? "utf8").toLowerCase();
    return NAMES[lower] ?? lower;
  };
  const letters = (mask) => ({
    encode: (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0) & 0xff),
    decode: (bytes) => {
      let text = "";
      for (let start = 0; start < bytes.length; start += 0x8000) {
        text += String.fromCharCode(...Uint8Array.prototype.subarray.call(bytes, start, start + 0x8000).map((byte) => byte & mask));
      }
      return text;
    },
  });
  const base64 = {
    encode(text) {
      const kept = text.replace(/[-_]/g, (letter) => (letter === "-" ? "+" : "/")).replace(/=[\s\S]*$/, "").replace(/[^A-Za-z0-9+/]/g, "");
      return fromBase64(kept.length % 4 === 1 ? kept.slice(0, -1) : kept);
    },
    decode: (bytes) => toBase64(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)),
  };
  const CODECS = {
    utf8: { encode: (text) => UTF8.encode(text), decode: (bytes) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) },
    utf16le: {
      encode: (text) => Uint8Array.from({ length: text.length * 2 }, (_, index) => (text.charCodeAt(index >> 1) >> (index & 1 ? 8 : 0)) & 0xff),
      decode: (bytes) => new TextDecoder("utf-16le", { ignoreBOM: true }).decode(bytes.length % 2 ? bytes.subarray(0, -1) : bytes),
    },
    latin1: letters(0xff),
    ascii: letters(0x7f),
    hex: {
      encode(text) {
        const whole = /^(?:[0-9a-f]{2})*/i.exec(text)[0];
        return Uint8Array.from({ length: whole.length / 2 }, (_, index) => parseInt(whole.slice(2 * index, 2 * index + 2), 16));
      },
      decode: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    },
    base64,
    base64url: { encode: base64.encode, decode: (bytes) => base64.decode(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "") },
  };
  const codec = (encoding) => {
    const name = known(encoding);
    if (!Object.hasOwn(CODECS, name)) throw Object.assign(new TypeError(`Unknown encoding: ${encoding}`), { code: "ERR_UNKNOWN_ENCODING" });
    return CODECS[name];
  };
  const wrap = (bytes) => Object.setPrototypeOf(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), Buffer.prototype);
  const wrong = (value) => {
    const what = value === null ? "null" : typeof value;
    return Object.assign(new TypeError(`Buffer.from takes a string, bytes or an array, and got ${what}`), { code: "ERR_INVALID_ARG_TYPE" });
  };
  const isBytes = (value) => ArrayBuffer.isView(value);
  const bytesOf = (value, encoding) => (typeof value === "string" ? codec(encoding).encode(value) : typeof value === "number" ? Uint8Array.of(value & 0xff) : value);

  function Buffer(value, encoding, length) {
    return typeof value === "number" ? Buffer.alloc(value) : Buffer.from(value, encoding, length);
  }
  Object.setPrototypeOf(Buffer, Uint8Array);
  Buffer.prototype = Object.create(Uint8Array.prototype, { constructor: { value: Buffer, writable: true, configurable: true } });
  const Species = function (...args) { return wrap(new Uint8Array(...args)); };
  Object.defineProperty(Buffer, Symbol.species, { get: () => Species });

  Object.assign(Buffer, {
    poolSize: 8192,
    from(value, encoding, length) {
      if (typeof value === "string") return wrap(codec(encoding).encode(value));
      if (value instanceof ArrayBuffer) return wrap(new Uint8Array(value, encoding, length));
      if (value === null || typeof value !== "object") throw wrong(value);
      if (isBytes(value) || Array.isArray(value)) return wrap(Uint8Array.from(value));
      if (value.type === "Buffer" && Array.isArray(value.data)) return wrap(Uint8Array.from(value.data));
      const plain = value.valueOf();
      if (plain !== null && plain !== undefined && plain !== value) return Buffer.from(plain, encoding, length);
      if (typeof value.length === "number") return wrap(Uint8Array.from(value));
      throw wrong(value);
    },
    of: (...bytes) => wrap(Uint8Array.from(bytes)),
    alloc(size, fill, encoding) {
      const made = wrap(new Uint8Array(size));
      return fill === undefined ? made : made.fill(fill, encoding);
    },
    allocUnsafe: (size) => wrap(new Uint8Array(size)),
    allocUnsafeSlow: (size) => wrap(new Uint8Array(size)),
    concat(list, total = list.reduce((size, one) => size + one.length, 0)) {
      const made = wrap(new Uint8Array(total));
      let offset = 0;
      for (const one of list) {
        if (offset >= total) break;
        made.set(Uint8Array.prototype.subarray.call(one, 0, total - offset), offset);
        offset += one.length;
      }
      return made;
    },
    isBuffer: (value) => value instanceof Buffer,
    isEncoding: (encoding) => typeof encoding === "string" && Object.hasOwn(CODECS, known(encoding)),
    byteLength: (value, encoding) => (typeof value === "string" ? codec(encoding).encode(value).length : value.byteLength),
    compare(one, other) {
      const length = Math.min(one.length, other.length);
      for (let index = 0; index < length; index++) {
        if (one[index] !== other[index]) return one[index] < other[index] ? -1 : 1;
      }
      return Math.sign(one.length - other.length);
    },
  });

  const methods = {
    toString(encoding, start = 0, end = this.length) {
      const first = Math.max(0, start);
      return codec(encoding).decode(Uint8Array.prototype.subarray.call(this, first, Math.max(first, end)));
    },
    [Symbol.for("nodejs.util.inspect.custom")]() {
      const shown = Array.from(Uint8Array.prototype.subarray.call(this, 0, 50), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
      return `<Buffer${shown && " "}${shown}${this.length > 50 ? ` ... ${this.length - 50} more byte${this.length > 51 ? "s" : ""}` : ""}>`;
    },
    toLocaleString(encoding, start, end) { return this.toString(encoding, start, end); },
    toJSON() { return { type: "Buffer", data: Array.from(this) }; },
    subarray(start, end) { return wrap(Uint8Array.prototype.subarray.call(this, start, end)); },
    slice(start, end) { return this.subarray(start, end); },
    equals(other) { return Buffer.compare(this, other) === 0; },
    compare(other, start = 0, end = other.length, from = 0, to = this.length) { return Buffer.compare(this.subarray(from, to), Uint8Array.prototype.subarray.call(other, start, end)); },
    copy(target, at = 0, start = 0, end = this.length) {
      const part = Uint8Array.prototype.subarray.call(this, start, Math.min(end, start + target.length - at));
      target.set(part, at);
      return part.length;
    },
    write(text, ...rest) {
      const encoding = typeof rest.at(-1) === "string" ? rest.pop() : "utf8";
      const [offset = 0, length = this.length - offset] = rest;
      const bytes = codec(encoding).encode(text).subarray(0, Math.min(length, this.length - offset));
      this.set(bytes, offset);
      return bytes.length;
    },
    fill(value, ...rest) {
      const encoding = typeof rest.at(-1) === "string" ? rest.pop() : "utf8";
      const [start = 0, end = this.length] = rest;
      const bytes = bytesOf(value, encoding);
      for (let index = start; index < end; index++) this[index] = bytes.length ? bytes[(index - start) % bytes.length] : 0;
      return this;
    },
    indexOf(value, from = 0, encoding) {
      const [start, code] = typeof from === "string" ? [0, from] : [from, encoding];
      const wanted = bytesOf(value, code);
      for (let index = start < 0 ? Math.max(0, this.length + start) : start; index <= this.length - wanted.length; index++) {
        if (wanted.every((byte, offset) => this[index + offset] === byte)) return index;
      }
      return -1;
    },
    lastIndexOf(value, from = this.length, encoding) {
      const wanted = bytesOf(value, encoding);
      for (let index = Math.min(from < 0 ? this.length + from : from, this.length - wanted.length); index >= 0; index--) {
        if (wanted.every((byte, offset) => this[index + offset] === byte)) return index;
      }
      return -1;
    },
    includes(value, from, encoding) { return this.indexOf(value, from, encoding) >= 0; },
    swap16() {
      for (let index = 0; index + 1 < this.length; index += 2) [this[index], this[index + 1]] = [this[index + 1], this[index]];
      return this;
    },
  };
  for (const name of Reflect.ownKeys(methods)) {
    Object.defineProperty(Buffer.prototype, name, { value: methods[name], writable: true, configurable: true });
  }

  // numbers: readUInt16LE, writeDoubleBE and so on, of the standard's DataView
  const NUMBERS = { UInt8: "Uint8", Int8: "Int8", UInt16: "Uint16", Int16: "Int16", UInt32: "Uint32", Int32: "Int32", Float: "Float32", Double: "Float64", BigInt64: "BigInt64", BigUInt64: "BigUint64" };
  const SIZES = { Uint8: 1, Int8: 1, Uint16: 2, Int16: 2, Uint32: 4, Int32: 4, Float32: 4, Float64: 8, BigInt64: 8, BigUint64: 8 };
  const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [name, kind] of Object.entries(NUMBERS)) {
    for (const order of SIZES[kind] === 1 ? [""] : ["LE", "BE"]) {
      const read = { value(offset = 0) { return view(this)[`get${kind}`](offset, order === "LE"); }, writable: true, configurable: true };
      const write = { value(value, offset = 0) { view(this)[`set${kind}`](offset, value, order === "LE"); return offset + SIZES[kind]; }, writable: true, configurable: true };
      for (const spelled of new Set([name, name.replace("UInt", "Uint")])) {
        Object.defineProperty(Buffer.prototype, `read${spelled}${order}`, read);
        Object.defineProperty(Buffer.prototype, `write${spelled}${order}`, write);
      }
    }
  }
  // and of one to six bytes
  const whole = (bytes, offset, length, little) => {
    const part = Array.from(Uint8Array.prototype.subarray.call(bytes, offset, offset + length));
    return (little ? part.reverse() : part).reduce((sum, byte) => sum * 256 + byte, 0);
  };
  for (const order of ["LE", "BE"]) {
    const little = order === "LE";
    const members = {
      [`readUInt${order}`](offset, length) { return whole(this, offset, length, little); },
      [`readInt${order}`](offset, length) {
        const value = whole(this, offset, length, little);
        return value >= 2 ** (8 * length - 1) ? value - 2 ** (8 * length) : value;
      },
      [`writeUInt${order}`](value, offset, length) {
        for (let index = 0; index < length; index++) this[offset + (little ? index : length - 1 - index)] = Math.floor(value / 2 ** (8 * index)) & 0xff;
        return offset + length;
      },
    };
    members[`writeInt${order}`] = members[`writeUInt${order}`];
    for (const [name, value] of Object.entries(members)) {
      for (const spelled of new Set([name, name.replace("UInt", "Uint")])) {
        Object.defineProperty(Buffer.prototype, spelled, { value, writable: true, configurable: true });
      }
    }
  }
  return { Buffer, SlowBuffer: Buffer, kMaxLength: 2 ** 31, constants: { MAX_LENGTH: 2 ** 31, MAX_STRING_LENGTH: 2 ** 29 }, atob, btoa };
}
