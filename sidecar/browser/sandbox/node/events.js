// Node's `events`.
(host) => {
  "use strict";
  const { native } = host;
  const wrong = (listener) => {
    if (typeof listener !== "function") {
      throw Object.assign(new TypeError(`a listener must be a function, not ${typeof listener}`), { code: "ERR_INVALID_ARG_TYPE" });
    }
  };
  const listOf = (emitter, name) => emitter._events?.[name] ?? [];
  const add = (emitter, name, listener, first) => {
    wrong(listener);
    emitter._events ??= Object.create(null);
    if (emitter._events.newListener) emitter.emit("newListener", name, listener.listener ?? listener);
    const list = listOf(emitter, name);
    emitter._events[name] = first ? [listener, ...list] : [...list, listener];
    return emitter;
  };
  const onlyOnce = (emitter, name, listener) => {
    wrong(listener);
    const once = (...args) => {
      emitter.removeListener(name, once);
      return Reflect.apply(listener, emitter, args);
    };
    return Object.assign(once, { listener });
  };

  // a function, since older modules call it for their own objects
  function EventEmitter() {
    this._events ??= Object.create(null);
  }
  Object.assign(EventEmitter.prototype, {
    on(name, listener) { return add(this, name, listener, false); },
    addListener(name, listener) { return add(this, name, listener, false); },
    prependListener(name, listener) { return add(this, name, listener, true); },
    once(name, listener) { return add(this, name, onlyOnce(this, name, listener), false); },
    prependOnceListener(name, listener) { return add(this, name, onlyOnce(this, name, listener), true); },
    off(name, listener) { return this.removeListener(name, listener); },
    removeListener(name, listener) {
      const list = listOf(this, name);
      const index = list.findLastIndex((one) => one === listener || one.listener === listener);
      if (index < 0) return this;
      const rest = list.toSpliced(index, 1);
      if (rest.length) this._events[name] = rest;
      else delete this._events[name];
      if (this._events.removeListener) this.emit("removeListener", name, listener);
      return this;
    },
    removeAllListeners(name) {
      if (name === undefined) this._events = Object.create(null);
      else if (this._events) delete this._events[name];
      return this;
    },
    emit(name, ...args) {
      const list = listOf(this, name);
      if (!list.length && name === "error") {
        throw args[0] instanceof Error ? args[0] : Object.assign(new Error(`Unhandled error. (${native("util").inspect(args[0])})`), { code: "ERR_UNHANDLED_ERROR", context: args[0] });
      }
      for (const listener of list) Reflect.apply(listener, this, args);
      return list.length > 0;
    },
    listeners(name) { return listOf(this, name).map((one) => one.listener ?? one); },
    rawListeners(name) { return [...listOf(this, name)]; },
    listenerCount(name) { return listOf(this, name).length; },
    eventNames() { return Reflect.ownKeys(this._events ?? {}); },
    setMaxListeners() { return this; },
    getMaxListeners() { return EventEmitter.defaultMaxListeners; },
  });
  Object.assign(EventEmitter, {
    EventEmitter,
    defaultMaxListeners: 10,
    errorMonitor: Symbol("events.errorMonitor"),
    listenerCount: (emitter, name) => emitter.listenerCount(name),
    once: (emitter, name) => new Promise((resolve, reject) => {
      const end = (settle) => (...args) => {
        emitter.removeListener(name, done);
        emitter.removeListener("error", failed);
        settle(...args);
      };
      const done = end((...args) => resolve(args)), failed = end(reject);
      emitter.once(name, done);
      if (name !== "error") emitter.once("error", failed);
    }),
  });
  return EventEmitter;
}
