// Node's `path`, of POSIX.
() => {
  "use strict";
  const normal = (path) => {
    const absolute = path.startsWith("/"), found = [];
    for (const piece of path.split("/")) {
      if (piece === ".." && (found.length ? found.at(-1) !== ".." : absolute)) found.pop();
      else if (piece && piece !== ".") found.push(piece);
    }
    return (absolute ? "/" : "") + found.join("/");
  };
  const checked = (path) => {
    if (typeof path !== "string") throw Object.assign(new TypeError(`a path must be a string, not ${typeof path}`), { code: "ERR_INVALID_ARG_TYPE" });
    return path;
  };
  const path = {
    sep: "/",
    delimiter: ":",
    normalize(path) {
      const found = normal(checked(path));
      return (found || ".") + (path.endsWith("/") && !found.endsWith("/") ? "/" : "");
    },
    isAbsolute: (path) => checked(path).startsWith("/"),
    join: (...paths) => path.normalize(paths.map(checked).filter(Boolean).join("/") || "."),
    resolve: (...paths) => normal(paths.reduceRight((rest, one) => (rest.startsWith("/") || !checked(one) ? rest : rest ? `${one}/${rest}` : one), "").replace(/^(?!\/)/, "/")) || "/",
    dirname(path) {
      const kept = checked(path).replace(/\/+$/, "");
      const end = kept.lastIndexOf("/");
      return end > 0 ? kept.slice(0, end) : end === 0 || (!kept && path) ? "/" : ".";
    },
    basename(path, ending = "") {
      const base = checked(path).replace(/\/+$/, "").split("/").at(-1);
      if (ending === path) return "";
      return ending && base !== ending && base.endsWith(ending) ? base.slice(0, -ending.length) : base;
    },
    extname: (given) => /^(?!\.\.$)[^]+?(\.[^.]*)$/.exec(path.basename(given))?.[1] ?? "",
    relative(from, to) {
      const start = path.resolve(from).split("/").filter(Boolean), end = path.resolve(to).split("/").filter(Boolean);
      let same = 0;
      while (same < start.length && start[same] === end[same]) same++;
      return [...start.slice(same).map(() => ".."), ...end.slice(same)].join("/");
    },
    parse(given) {
      const base = path.basename(given), ext = path.extname(given), dir = path.dirname(given);
      return { root: given.startsWith("/") ? "/" : "", dir: dir === "." && !given.startsWith(".") ? "" : dir, base, ext, name: ext ? base.slice(0, -ext.length) : base };
    },
    format({ dir, root = "", base, name = "", ext = "" }) {
      const end = base ?? `${name}${ext && !ext.startsWith(".") ? "." : ""}${ext}`;
      return !dir ? `${root}${end}` : dir === root ? `${dir}${end}` : `${dir}/${end}`;
    },
    toNamespacedPath: (path) => path,
  };
  return Object.assign(path, { posix: path });
}
