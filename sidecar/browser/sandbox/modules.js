// `require` and `import` of a task's script: its own files and installed modules, which were read before the run, and
// modules that this program brings, `axios` and those of Node that need no system.
(host) => {
  "use strict";
  const { parts, stacks, coded, refusal } = host;
  const AS_NETWORK = "use fetch or require('axios') for requests";
  const AS_FILES = "require('./data.json') reads JSON next to the script, and main's return value is kept as the run's result";
  const AS_PROCESS = "a script starts no processes and threads; job(content) runs a browser job";
  const AS_CODE = "code can't be created from text; put it into a file next to the script";
  const INSTEAD = {
    http: AS_NETWORK, https: AS_NETWORK, http2: AS_NETWORK, net: AS_NETWORK, tls: AS_NETWORK, dgram: AS_NETWORK, dns: AS_NETWORK,
    fs: AS_FILES, "fs/promises": AS_FILES, sqlite: AS_FILES,
    child_process: AS_PROCESS, worker_threads: AS_PROCESS, cluster: AS_PROCESS,
    vm: AS_CODE, module: AS_CODE, repl: AS_CODE,
  };
  const NATIVE = Object.keys(parts).filter((name) => name.startsWith("node/")).map((name) => name.slice(5).replace("__", "/"));
  const missing = (message) => Object.assign(new Error(message), { code: "MODULE_NOT_FOUND" });

  // --- what this program brings; each is made at its first use
  const natives = new Map();
  const native = (name, asker = "") => {
    if (!natives.has(name)) {
      const make = name === "axios" ? parts.axios : parts[`node/${name.replace("/", "__")}`];
      if (!make) {
        const reason = INSTEAD[name] ?? `a task's script has these modules of Node: ${NATIVE.join(", ")}`;
        const installed = asker.includes("node_modules/") ? `, which ${asker} asks for,` : "";
        throw Object.assign(refusal(`require('${name}')${installed}`, reason), { code: "forbidden" });
      }
      natives.set(name, make({ ...host, native }));
    }
    return natives.get(name);
  };

  // --- what was read before the run
  const files = new Map();  // by name: what it is, the function that it has become, and where its requests lead
  const known = new Map();  // where requests lead by their words, whoever made them
  const modules = new Map();
  const folder = (name) => (name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : "");
  const join = (base, path) => {
    const found = [];
    for (const piece of `${base}/${path}`.split("/")) {
      if (piece === "..") found.pop();
      else if (piece && piece !== ".") found.push(piece);
    }
    return found.join("/");
  };
  const ENDINGS = ["", ".js", ".json", ".cjs", ".mjs", "/index.js", "/index.json"];
  const resolve = (request, file, imports = false) => {
    if (typeof request !== "string") throw Object.assign(new TypeError("require takes the name of a module"), { code: "ERR_INVALID_ARG_TYPE" });
    if (request.startsWith("node:")) return request;
    for (const key of imports ? [`import ${request}`, request] : [request, `import ${request}`]) {
      if (Object.hasOwn(file.links, key)) return file.links[key];
      if (Object.hasOwn(file.failures, key)) throw missing(file.failures[key]);
    }
    const relative = /^\.{0,2}(\/|$)/.test(request);
    const base = relative ? join(folder(file.name), request) : `node_modules/${request}`;
    const ending = ENDINGS.find((one) => files.has(base + one));
    if (ending !== undefined) return base + ending;
    if (!relative && known.has(request)) return known.get(request);
    throw missing(`'${request}' was not read before the run; requests are found by names that are written as plain strings, so write require('${request}') somewhere in the script`);
  };
  const provide = (id, file) => (id.startsWith("node:") ? native(id.slice(5), file.name) : id === "empty:" ? {} : instantiate(files.get(id)).exports);

  // --- CommonJS
  const requireFrom = (file) => {
    const require = (request) => provide(resolve(request, file), file);
    require.resolve = (request) => resolve(request, file);
    require.cache = Object.create(null);
    require.main = undefined;
    require.extensions = Object.create(null);
    return require;
  };
  const importFrom = (file) => async (request) => {
    const id = resolve(String(request), file, true);
    return namespace(id, provide(id, file));
  };
  const runCommon = (file, module) => {
    const require = requireFrom(file);
    module.require = require;
    file.load.call(module.exports, module, module.exports, require, `/${file.name}`, `/${folder(file.name)}`, importFrom(file));
  };

  // --- ES modules: a generator that first gives the exports, and runs once its own imports have
  const isModule = (id) => files.get(id)?.kind === "module";
  const namespaces = new WeakMap();
  const namespace = (id, exported) => {
    if (isModule(id) || exported === null || (typeof exported !== "object" && typeof exported !== "function")) {
      return isModule(id) ? exported : { default: exported };
    }
    if (!namespaces.has(exported)) namespaces.set(exported, { ...exported, default: exported });
    return namespaces.get(exported);
  };
  const member = (id, exported, name) => {
    if (name === "*") return namespace(id, exported);
    return isModule(id) || name !== "default" ? exported?.[name] : exported;
  };
  const getter = (target, name, get) => Object.defineProperty(target, name, { get, enumerable: true, configurable: true });
  const begin = (file, module) => {
    module.exports = Object.defineProperty(Object.create(null), Symbol.toStringTag, { value: "Module" });
    const scope = Object.create(null);
    const defaults = Object.create(null);
    scope.__e = defaults;
    scope.__load = importFrom(file);
    scope.__meta = { url: `file:///${encodeURI(file.name)}`, filename: `/${file.name}`, dirname: `/${folder(file.name)}` };
    if (!file.scope.imports.some(([local]) => local === "require")) scope.require = requireFrom(file);
    return { scope, defaults, body: file.load(scope).call(undefined) };
  };
  const link = (file, module, { scope, defaults }, locals) => {
    const { imports, exports, stars, requests } = file.scope;
    for (const name of Object.keys(locals)) getter(module.exports, name, locals[name]);
    if (exports.includes("default") && !("default" in locals)) getter(module.exports, "default", () => defaults.default);
    const found = new Map();
    const placed = (request, error) => {  // an import statement stands in no stack
      stacks.put(error, file.name, ...file.scope.places[request]);
      return error;
    };
    const id = (request) => {
      if (!found.has(request)) {
        try { found.set(request, resolve(request, file, true)); } catch (error) { throw placed(request, error); }
      }
      return found.get(request);
    };
    const brought = (name) => name.startsWith("node:") || name === "empty:";
    const exported = (request) => {
      const name = id(request);
      if (!brought(name)) return modules.get(name).exports;
      try { return provide(name, file); } catch (error) { throw placed(request, error); }
    };
    const bind = (target, name, request, wanted) => getter(target, name, () => member(id(request), exported(request), wanted));
    for (const [name, request, wanted] of file.scope.reexports) bind(module.exports, name, request, wanted);
    for (const [name, request, wanted] of imports) bind(scope, name, request, wanted);
    for (const request of requests) {
      if (brought(id(request))) exported(request);
      else instantiate(files.get(id(request)));
    }
    for (const request of stars) {
      for (const name of Object.keys(exported(request) ?? {})) {
        if (name !== "default" && !(name in module.exports)) bind(module.exports, name, request, name);
      }
    }
    for (const [, request, wanted] of [...imports, ...file.scope.reexports]) {
      const there = modules.get(id(request));
      const whole = wanted === "*" || (wanted === "default" && !isModule(id(request)));
      if (!whole && (there?.loaded ?? true) && !(wanted in Object(exported(request)))) {
        throw placed(request, new SyntaxError(`'${request}' has no export named '${wanted}'`));
      }
    }
  };
  const runModule = (file, module) => {
    if (file.scope.waits) {
      throw new SyntaxError(`${file.name} waits at its top level, which only the task's own script can; put the await into a function`);
    }
    const begun = begin(file, module);
    link(file, module, begun, begun.body.next().value);
    begun.body.next();
  };

  // --- one file
  const RUN = {
    commonjs: runCommon,
    module: runModule,
    json(file, module) {
      try { module.exports = JSON.parse(file.text); } catch (error) { throw new SyntaxError(`${file.name} is no JSON: ${error.message}`); }
    },
  };
  const opened = (file) => {
    if (file.broken) throw file.broken;
    const module = { id: file.name, filename: `/${file.name}`, path: `/${folder(file.name)}`, exports: {}, loaded: false, children: [], paths: [], parent: undefined };
    modules.set(file.name, module);
    return module;
  };
  const instantiate = (file) => {
    if (modules.has(file.name)) return modules.get(file.name);
    const module = opened(file);
    try { RUN[file.kind](file, module); } catch (error) {
      modules.delete(file.name);
      throw error;
    }
    module.loaded = true;
    return module;
  };

  return {
    native,
    // takes the files of a run, the script's own first, and gives that one's name
    add(listed, loaded) {
      for (const [index, file] of listed.entries()) {
        const [line, column, hint] = file.error ?? [];
        const value = loaded[index];
        if (file.error) stacks.put(value, file.name, line, column);
        if (hint) value.message += `; ${hint}`;
        stacks.head(file.name, file.head);
        files.set(file.name, { ...file, load: value, broken: file.error ? value : undefined });
        for (const [key, id] of Object.entries(file.links)) known.set(key.replace(/^import /, ""), id);
      }
      return listed[0].name;
    },
    async start(name) {
      const file = files.get(name);
      if (!file.scope?.waits || file.broken) return instantiate(file).exports;
      const module = opened(file);
      const begun = begin(file, module);
      link(file, module, begun, (await begun.body.next()).value);
      await begun.body.next();
      return module.exports;
    },
    main(exported) {
      const named = [exported, exported?.default].find((one) => typeof one?.main === "function");
      if (named) return (config) => named.main(config);
      const main = [exported, exported?.default].find((one) => typeof one === "function");
      if (main) return main;
      throw coded(new TypeError("the script exports no function: write module.exports.main = async (config) => { … }, or export it"), "no_main");
    },
  };
}
