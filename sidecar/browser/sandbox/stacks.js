// Where an error comes from in the files of a task's script: their names stand in stacks as `script:///…`.
() => {
  "use strict";
  Error.stackTraceLimit = 50;  // calls within libraries must not hide those of the script
  const FRAME = /^\s*at (?:(.*?) \()?script:\/\/\/([^()\s]+?):(\d+):(\d+)\)?$/;
  const MOST = 5;
  const match = RegExp.prototype.exec, split = String.prototype.split;  // scripts may change them
  const heads = new Map();
  const parsed = new WeakMap();

  const read = (line) => {
    const found = match.call(FRAME, line);
    if (!found) return [];
    const [, called, path, row, column] = found;
    const name = decodeURIComponent(path);
    const head = row === "1" ? heads.get(name) ?? 0 : 0;
    return [{ called: called?.includes("<anonymous>") ? "" : called, name, line: Number(row), column: Math.max(1, Number(column) - head) }];
  };
  const own = (error) => {
    let stack;
    try { stack = error.stack; } catch { return []; }  // an accessor of the script's
    if (typeof stack !== "string") return [];
    const all = split.call(stack.slice(-20_000), "\n").flatMap(read);
    const outside = all.filter(({ name }) => !name.startsWith("node_modules/") && !name.includes("/node_modules/"));
    return outside.length ? outside : all;
  };
  const text = ({ name, line, column }) => `${name}:${line}:${column}`;

  return {
    // what we have put before the author's first character on the first line of a file
    head(name, length) { heads.set(name, length); },
    // an error of a file's syntax or imports, whose stack says nothing
    put(error, name, line, column) { parsed.set(error, { name, line, column }); },
    frames(error) {
      if (!(error instanceof Error)) return [];
      const found = parsed.has(error) ? [parsed.get(error)] : own(error).slice(0, MOST);
      return found.map((frame) => (frame.called ? `${frame.called} (${text(frame)})` : text(frame)));
    },
    place(error) {
      const found = parsed.get(error) ?? own(error)[0];
      return found ? `${found.name}, line ${found.line}, column ${found.column}` : "";
    },
  };
}
