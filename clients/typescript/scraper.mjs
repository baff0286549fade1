// The small scraper, for Node and Deno: sends what was not sent before. Its arguments are the sidecar's command:
//     node scraper.mjs sidecar            deno run --allow-run --allow-env scraper.mjs sidecar

import process from "node:process";
import { Sidecar, SidecarError } from "./sidecar.mjs";

const command = process.argv.slice(2);
try {
  const sidecar = await Sidecar.spawn(command.length ? command : undefined);
  await sidecar.request("set_mock", { secrets: { user: { username: "demo", password: "demo" } } }); // or set_credentials
  const user = await sidecar.request("get_user_secret", { encryption_key: "any, in mock mode" });
  console.log(`scraping as ${user.username}`);

  for (const referenceNumber of ["cv-1", "cv-2", "cv-1"]) {
    if (await sidecar.request("has_cached_reference", referenceNumber)) {
      console.log(`${referenceNumber}: was sent before`);
      continue;
    }
    const matched = await sidecar.request("send_cv", { referenceNumber, title: "Something scraped" });
    await sidecar.request("set_cached_reference", referenceNumber);
    console.log(`${referenceNumber}: sent, ${matched ? "matched" : "no match"}`);
  }

  await sidecar.close();
} catch (error) {
  if (!(error instanceof SidecarError)) throw error;
  console.error(`failed: ${error.message}`);
  process.exit(1); // the sidecar ends with its stdin
}
