// The same parent as parent.py, in Node.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [how, ...command] = process.argv.slice(2);
const sidecar = spawn(command[0], command.slice(1)); // stdin, stdout and stderr are all piped
const exited = once(sidecar, "exit");
const answers = createInterface({ input: sidecar.stdout })[Symbol.asyncIterator]();
const read = async () => console.log((await answers.next()).value);
const lines = readFileSync(0, "utf8").trimEnd().split("\n");

if (how === "one by one") {
  await read(); // ready
  for (const line of lines) {
    sidecar.stdin.write(line + "\n");
    await read();
  }
  sidecar.stdin.end();
} else {
  sidecar.stdin.end(lines.join("\n") + "\n");
  for await (const line of answers) console.log(line);
}
const [code] = await exited;
console.log(code);
process.exit(); // stderr, which was never read, would keep us
