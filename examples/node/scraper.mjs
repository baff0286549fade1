#!/usr/bin/env node
// The smallest useful scraper in JavaScript: spawns the sidecar and talks to it in lines of JSON. No dependencies.
// The sidecar's command is the arguments, `sidecar` where there are none:
//     node examples/node/scraper.mjs .venv/bin/sidecar

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

process.on("uncaughtException", (error) => {
  console.error(`failed: ${error.message}`); // what is wrong, and what to do
  process.exit(1);
});

const [command = "sidecar", ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

async function answer() {
  const { value, done } = await lines.next();
  if (done) throw new Error("the sidecar has ended");
  const reply = JSON.parse(value);
  if (reply.type === "error") throw new Error([reply.error.message, reply.error.hint].filter(Boolean).join("; "));
  return reply.content;
}

// Requests without an id are answered in order, so the next line is the answer.
function ask(type, content) {
  child.stdin.write(JSON.stringify({ type, content }) + "\n");
  return answer();
}

await answer(); // ready
await ask("set_mock", { secrets: { user: { username: "demo", password: "demo" } } }); // or set_credentials
const user = await ask("get_user_secret", { encryption_key: "any, in mock mode" });
console.log(`scraping as ${user.username}`);

for (const referenceNumber of ["node-1", "node-2", "node-1"]) {
  if (await ask("has_cached_reference", referenceNumber)) {
    console.log(`${referenceNumber}: was sent before`);
    continue;
  }
  const matched = await ask("send_cv", { referenceNumber, title: "Something scraped" });
  await ask("set_cached_reference", referenceNumber);
  console.log(`${referenceNumber}: sent, ${matched ? "matched" : "no match"}`);
}

child.stdin.end(); // the sidecar finishes and ends
await new Promise((ended) => child.once("exit", ended));
