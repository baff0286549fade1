// The example of RT-CV scraper client v2, then every call of its client in Deno: a POST with the body as text.
const req = await fetch(Deno.env.get("SCRAPER_ADDRESS") + "/users");
const users = await req.json();
console.log(JSON.stringify(users));

async function call(path: string, body: unknown) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const answer = await fetch(Deno.env.get("SCRAPER_ADDRESS") + path, { method: "POST", body: text });
  if (answer.status >= 400) throw await answer.text();
  return await answer.json();
}
console.log(await call("/send_cv", { referenceNumber: "a" }));
console.log(await call("/send_cv", { referenceNumber: "a" }));
console.log(await call("/set_short_cached_reference", "b"));
console.log(await call("/get_cached_reference", "b"));
try {
  await call("/set_cached_reference", "");
} catch (said) {
  console.log(said);
}
Deno.exit(7);
