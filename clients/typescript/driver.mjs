// Lets `sidecar conformance --client` use the client: see docs/writing-a-client.md.

import process from "node:process";
import { createInterface } from "node:readline";
import { Sidecar, SidecarFailure } from "./sidecar.mjs";

const say = (line) => console.log(JSON.stringify(line));
const exit = () => process.stdout.write("", () => process.exit(0)); // what the pipe has not taken yet is written first
const asked = new Map(); // name -> what aborts it
let sidecar;
try {
  sidecar = await Sidecar.spawn(process.argv.slice(2), { onEvent: ({ event, content }) => say({ event, content }) });
} catch {
  say({ ended: true });
  await new Promise(exit);
}
for await (const line of createInterface({ input: process.stdin })) {
  const { as, type, content, cancel } = JSON.parse(line);
  if (cancel) {
    asked.get(cancel).abort();
    continue;
  }
  asked.set(as, new AbortController());
  sidecar.request(type, content, { signal: asked.get(as).signal }).then(
    (content) => say({ as, content: content ?? null }),
    (error) => say({ as, ...(error instanceof SidecarFailure ? { error: error.detail } : { ended: true }) }),
  );
}
say({ closed: await sidecar.close() });
exit();
