// Node's `assert`.
(host) => {
  "use strict";
  const { native } = host;
  const { inspect, isDeepStrictEqual } = native("util");
  class AssertionError extends Error {
    constructor({ message, actual, expected, operator }) {
      super(message);
      Object.assign(this, { name: "AssertionError", code: "ERR_ASSERTION", generatedMessage: false, actual, expected, operator });
    }
  }
  const check = (holds, actual, expected, operator, message) => {
    if (holds) return;
    if (message instanceof Error) throw message;
    throw new AssertionError({ message: message ?? `Expected ${inspect(actual)} ${operator} ${inspect(expected)}`, actual, expected, operator });
  };
  const compare = (operator, holds) => (actual, expected, message) => check(holds(actual, expected), actual, expected, operator, message);
  // whether an error is what `throws` and `rejects` expect
  const fits = (error, expected) => {
    if (expected === undefined) return true;
    if (expected instanceof RegExp) return expected.test(String(error));
    if (typeof expected !== "function") return Object.entries(expected).every(([name, value]) => (value instanceof RegExp ? value.test(error?.[name]) : isDeepStrictEqual(error?.[name], value)));
    if (expected.prototype !== undefined && error instanceof expected) return true;
    return !Error.isPrototypeOf(expected) && expected !== Error && Reflect.apply(expected, {}, [error]) === true;
  };
  const ended = (failed, error, expected, message) => {
    const [wanted, said] = typeof expected === "string" ? [undefined, expected] : [expected, message];
    check(failed, undefined, undefined, "throws", said ?? "Missing expected exception.");
    if (fits(error, wanted)) return;
    const isClass = typeof wanted === "function" && wanted.prototype !== undefined;
    const reason = isClass ? `The error is expected to be an instance of "${wanted.name}". Received "${error?.constructor?.name}"` : `The error ${inspect(String(error))} is not as expected: ${inspect(wanted)}`;
    check(false, error, wanted, "throws", said ?? reason);
  };
  const ok = (value, message) => check(value, value, true, "==", message);
  const assert = Object.assign((value, message) => ok(value, message), {
    ok, AssertionError,
    equal: compare("==", (one, other) => one == other || (one !== one && other !== other)),
    notEqual: compare("!=", (one, other) => one != other),
    strictEqual: compare("strictly equal to", Object.is),
    notStrictEqual: compare("not strictly equal to", (one, other) => !Object.is(one, other)),
    deepEqual: compare("deeply equal to", isDeepStrictEqual),
    deepStrictEqual: compare("deeply and strictly equal to", isDeepStrictEqual),
    notDeepEqual: compare("not deeply equal to", (one, other) => !isDeepStrictEqual(one, other)),
    notDeepStrictEqual: compare("not deeply and strictly equal to", (one, other) => !isDeepStrictEqual(one, other)),
    match: compare("to match", (text, pattern) => pattern.test(text)),
    doesNotMatch: compare("not to match", (text, pattern) => !pattern.test(text)),
    fail(message = "Failed") { check(false, undefined, undefined, "fail", message); },
    ifError(value) {
      if (value !== null && value !== undefined) check(false, value, null, "ifError", `ifError got unwanted exception: ${value.message ?? inspect(value)}`);
    },
    throws(call, expected, message) {
      let failed = false, failure;
      try { call(); } catch (error) { failed = true; failure = error; }
      ended(failed, failure, expected, message);
    },
    async rejects(call, expected, message) {
      let failed = false, failure;
      try { await (typeof call === "function" ? call() : call); } catch (error) { failed = true; failure = error; }
      ended(failed, failure, expected, message);
    },
    doesNotThrow(call) { call(); },
    async doesNotReject(call) { await (typeof call === "function" ? call() : call); },
  });
  const { strictEqual: equal, notStrictEqual: notEqual } = assert;
  assert.strict = Object.assign((value, message) => ok(value, message), assert, { equal, notEqual });
  assert.strict.strict = assert.strict;
  return assert;
}
