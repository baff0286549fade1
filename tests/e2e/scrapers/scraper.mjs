// As scraper.ts, in Node.
const address = process.env.SCRAPER_ADDRESS;
console.log(JSON.stringify(await (await fetch(address + "/users")).json()));

async function call(path, body) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const answer = await fetch(address + path, { method: "POST", body: text });
  if (answer.status >= 400) throw await answer.text();
  return await answer.json();
}
console.log(await call("/send_cv", { referenceNumber: "a" }));
console.log(await call("/send_cv", { referenceNumber: "a" }));
console.log(await call("/set_short_cached_reference", "b"));
console.log(await call("/get_cached_reference", "b"));
await call("/set_cached_reference", "").catch((said) => console.log(said));
process.exit(7);
