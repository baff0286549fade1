// Node's `string_decoder`: characters whose bytes come in several pieces.
(host) => {
  "use strict";
  const { native } = host;
  const { Buffer } = native("buffer");
  const STREAMED = { utf8: "utf-8", "utf-8": "utf-8", utf16le: "utf-16le", ucs2: "utf-16le" };
  class StringDecoder {
    #decoder;
    #kept = Buffer.alloc(0);
    constructor(encoding = "utf8") {
      this.encoding = String(encoding).toLowerCase();
      const name = STREAMED[this.encoding];
      this.#decoder = name && new TextDecoder(name, { ignoreBOM: true });
    }
    write(bytes) {
      if (typeof bytes === "string") return bytes;
      if (this.#decoder) return this.#decoder.decode(bytes, { stream: true });
      const all = Buffer.concat([this.#kept, bytes]);
      const whole = this.encoding.startsWith("base64") ? all.length - (all.length % 3) : all.length;
      this.#kept = all.subarray(whole);
      return all.toString(this.encoding, 0, whole);
    }
    end(bytes) {
      const text = bytes === undefined ? "" : this.write(bytes);
      if (this.#decoder) return text + this.#decoder.decode();
      const rest = this.#kept.toString(this.encoding);
      this.#kept = Buffer.alloc(0);
      return text + rest;
    }
  }
  return { StringDecoder };
}
