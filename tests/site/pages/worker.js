addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  if (event.request.url.endsWith(".svg")) {
    const image = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>';
    event.respondWith(new Response(image, { headers: { "Content-Type": "image/svg+xml" } }));
  }
});
