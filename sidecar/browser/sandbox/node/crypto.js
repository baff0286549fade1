// Node's `crypto`: what of it the standard's random numbers can stand in for.
(host) => {
  "use strict";
  const { native, refusal } = host;
  const AWAY = "a task's script has only random numbers of it; install a module that hashes in plain JavaScript";
  const { Buffer } = native("buffer");
  const randomBytes = (size, done) => {
    const made = Buffer.alloc(size);
    for (let start = 0; start < size; start += 65_536) crypto.getRandomValues(Uint8Array.prototype.subarray.call(made, start, start + 65_536));
    return done ? queueMicrotask(() => done(null, made)) : made;
  };
  const randomInt = (low, high) => {
    const [from, to] = high === undefined ? [0, low] : [low, high], range = to - from, most = 2 ** 48 - (2 ** 48 % range);
    for (;;) {
      const value = randomBytes(6).reduce((sum, byte) => sum * 256 + byte, 0);
      if (value < most) return from + (value % range);
    }
  };
  const randomUUID = () => {
    const bytes = randomBytes(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  };
  const made = {
    webcrypto: crypto, getRandomValues: (bytes) => crypto.getRandomValues(bytes), randomBytes, randomInt, randomUUID,
    timingSafeEqual: (one, other) => one.length === other.length && one.reduce((found, byte, index) => found | (byte ^ other[index]), 0) === 0,
  };
  for (const name of ["createHash", "createHmac", "createCipheriv", "createDecipheriv", "createSign", "createVerify", "pbkdf2", "pbkdf2Sync", "scrypt", "scryptSync"]) {
    made[name] = () => { throw refusal(`crypto.${name}`, AWAY); };
  }
  return made;
}
