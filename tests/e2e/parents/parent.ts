// The same parent as parent.py, in Deno.
const [how, ...command] = Deno.args;
const sidecar = new Deno.Command(command[0], {
  args: command.slice(1),
  stdin: "piped",
  stdout: "piped",
  stderr: "piped",
}).spawn();
const stdin = sidecar.stdin.getWriter();
const stdout = sidecar.stdout.pipeThrough(new TextDecoderStream()).getReader();
const lines = (await new Response(Deno.stdin.readable).text()).trimEnd().split("\n");
const write = (text: string) => stdin.write(new TextEncoder().encode(text));

let unread = "";
async function read(): Promise<boolean> {
  while (!unread.includes("\n")) {
    const { value, done } = await stdout.read();
    if (done) return false;
    unread += value;
  }
  const end = unread.indexOf("\n");
  console.log(unread.slice(0, end));
  unread = unread.slice(end + 1);
  return true;
}

if (how === "one by one") {
  await read(); // ready
  for (const line of lines) {
    await write(line + "\n");
    await read();
  }
  await stdin.close();
} else {
  await write(lines.join("\n") + "\n");
  await stdin.close();
  while (await read());
}
console.log((await sidecar.status).code);
Deno.exit();
