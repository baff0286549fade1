// @ts-self-types="./sidecar.d.mts"
// The sidecar's client for Node (18 and later) and Deno (2 and later, `deno run --allow-run`), without dependencies:
// copy this file, sidecar.d.mts and index.d.ts. Types are in the latter two.

import { spawn } from "node:child_process";

/** What `request` and `spawn` reject with; its `message` is for people. */
export class SidecarError extends Error {}

/** The sidecar answered with an error: branch on `code`; `detail` has all members of the error. */
export class SidecarFailure extends SidecarError {
  constructor(detail) {
    super(detail.hint ? `${detail.message}; ${detail.hint}` : detail.message);
    this.name = "SidecarFailure";
    this.code = detail.code;
    this.retryable = detail.retryable;
    this.field = detail.field;
    this.artifacts = detail.artifacts; // what the page of a failed job showed
    this.detail = detail;
  }
}

/** The sidecar is gone, or is none: what was asked got no answer. */
export class SidecarEnded extends SidecarError {
  name = "SidecarEnded";
}

/** A running sidecar. Requests run side by side: await one where the next must see what it did. */
export class Sidecar {
  #child;
  #onEvent;
  #waiting = new Map(); // id -> {resolve, reject, length of its line}
  #lastId = 0;
  #ended;
  #started = settleable();
  #over = settleable();
  #exited;

  /** Spawns a sidecar; resolves when it is ready, rejects with SidecarEnded. */
  static async spawn(command = ["sidecar"], { onEvent, env, cwd } = {}) {
    const sidecar = new Sidecar(command, { onEvent, env, cwd });
    sidecar.ready = await sidecar.#started.promise;
    if (onEvent) await sidecar.request("hello", { notifications: true });
    return sidecar;
  }

  constructor([program, ...args], { onEvent, env, cwd }) {
    this.#onEvent = onEvent ?? (() => {});
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], env, cwd });
    this.#child.stdin.on("error", () => {}); // it no longer reads: the end of its output says so
    this.#exited = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => resolve(code ?? signal));
      this.#child.once("error", (error) => resolve(error.message));
    });
    let pieces = []; // of a line that is not whole yet: lines may be longer than any buffer
    this.#child.stdout.on("data", (data) => {
      let start = 0;
      for (let end; (end = data.indexOf(10, start)) >= 0; start = end + 1) {
        const line = Buffer.concat([...pieces, data.subarray(start, end)]).toString("utf8");
        pieces = [];
        this.#take(line);
      }
      pieces.push(data.subarray(start));
    });
    this.#child.stdout.once("close", async () => {
      this.#fail(`the sidecar has ended (${await this.#exited})`);
      this.#over.resolve();
    });
    this.#child.once("error", (error) => this.#fail(`the sidecar can't be started: ${error.message}`));
  }

  /** Sends a message; resolves with the content of its answer, rejects with SidecarFailure or SidecarEnded. */
  request(type, content, { signal } = {}) {
    if (this.#ended) return Promise.reject(new SidecarEnded(this.#ended));
    const id = ++this.#lastId;
    const line = JSON.stringify({ id, type, content }) + "\n";
    signal?.addEventListener("abort", () => this.#waiting.has(id) && this.request("cancel", { id }).catch(() => {}));
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, length: Buffer.byteLength(line) });
      this.#child.stdin.write(line); // what the pipe does not take now is written as it is read
    });
  }

  /** Tells the sidecar to finish, reads what it still answers, and resolves with its exit code; kills it after a while. */
  async close(milliseconds = 40_000) {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.kill(), milliseconds);
    await this.#over.promise; // all that it has answered is read
    clearTimeout(timer);
    return this.#exited;
  }

  /** Ends it at once; what it has accepted waits for the next one. */
  kill() {
    this.#child.kill("SIGKILL");
  }

  #take(line) {
    let reply;
    try {
      reply = JSON.parse(line);
      if (!this.ready && !(reply.type === "ready" && /^2\./.test(reply.protocol))) throw new Error("not `ready` of protocol 2");
    } catch (error) {
      this.#fail(`the sidecar wrote a line that can't be used: ${error.message}`);
      return this.kill();
    }
    if (!this.ready) {
      this.ready = reply;
      this.#started.resolve(reply);
    } else if (reply.type === "event") {
      this.#onEvent(reply);
    } else {
      const id = reply.id ?? this.#longest();
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (reply.type === "error") waiting?.reject(new SidecarFailure(reply.error));
      else waiting?.resolve(reply.content);
    }
  }

  /** Only a line over the sidecar's limit is answered without its id. */
  #longest() {
    return [...this.#waiting].reduce((most, one) => (one[1].length > most[1].length ? one : most), [0, { length: -1 }])[0];
  }

  #fail(why) {
    this.#ended ??= why;
    this.#started.reject(new SidecarEnded(why));
    for (const { reject } of this.#waiting.values()) reject(new SidecarEnded(why));
    this.#waiting.clear();
  }
}

function settleable() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  made.promise.catch(() => {}); // it may have ended before it is awaited
  return made;
}
