// Service workers in a replay, where none runs: what one answered comes from the recording. `workers` is an object: the
// script of each worker of the recording -> its status, and whether it claims pages; null if they are not known.
(workers) => {
  const container = navigator.serviceWorker;
  if (!container) return;
  const blocked = container.register; // by Playwright, which says so in the console, as where the job itself blocks workers
  const registrations = new Map();
  const constants = (object, values) => {
    for (const [name, value] of Object.entries(values)) {
      Object.defineProperty(object, name, { value, configurable: true, writable: true });
    }
    return object;
  };
  let controller = null, settle;
  const ready = new Promise((resolve) => { settle = resolve; });
  const add = (script, scope) => {
    const worker = { scriptURL: script, state: "activated", onstatechange: null, postMessage: () => undefined };
    const active = constants(new EventTarget(), worker);
    const registration = constants(new EventTarget(), {
      scope, active, installing: null, waiting: null, updateViaCache: "imports", onupdatefound: null,
      update: async () => registration,
      unregister: async () => registrations.delete(scope),
    });
    registrations.set(scope, registration);
    if (!location.href.startsWith(scope)) return;
    settle(registration);
    if (workers?.[script]?.claims && !controller) {
      controller = active;
      setTimeout(() => container.dispatchEvent(new Event("controllerchange")));
    }
  };
  const register = async (url, options) => {
    const script = new URL(url, document.baseURI).href;
    if (workers && !Object.hasOwn(workers, script)) return blocked.call(container, url, options);
    const scope = options?.scope ? new URL(options.scope, document.baseURI).href : new URL("./", script).href;
    const status = workers?.[script].status ?? 200;
    if (status !== 200) {
      console.error(`A bad HTTP response code (${status}) was received when fetching the script.`); // as Chromium does
      throw new TypeError(`Failed to register a ServiceWorker for scope ('${scope}') with script ('${script}'): A bad HTTP response code (${status}) was received when fetching the script.`);
    }
    if (!registrations.has(scope)) add(script, scope);
    return registrations.get(scope);
  };
  const of = (url) => [...registrations.values()].find((one) => new URL(url, document.baseURI).href.startsWith(one.scope));
  constants(container, {
    register, getRegistration: async (url = "") => of(url), getRegistrations: async () => [...registrations.values()],
  });
  Object.defineProperty(container, "ready", { configurable: true, get: () => ready });
  Object.defineProperty(container, "controller", { configurable: true, get: () => controller });
  // a page may wait for a worker that an earlier page has registered
  addEventListener("load", () => {
    const started = Object.entries(workers ?? {}).filter(([, about]) => about.status === 200).map(([script]) => script);
    const script = started.find((one) => new URL(one).origin === location.origin);
    if (script && !registrations.size) add(script, new URL("./", script).href);
  });
}
