// Requests, latencies, webhooks and servers.
const row = (id, kind, cells, body) => {
  const view = make("details", { class: `row ${kind}`, id }, make("summary", null, cells));
  view.addEventListener("toggle", () => view.open && view.children.length === 1 && view.append(make("div", { class: "row-body" }, body())));
  return view;
};

const messageText = (one) => `${one.seq} ${one.type} ${one.code} ${one.error} ${JSON.stringify(one.request) ?? ""} ${JSON.stringify(one.reply) ?? ""}`;
const messageRow = (jobs) => (one) => {
  const job = jobs.get(one.seq);
  const brief = one.ok === false ? one.error : typeof one.request === "string" ? one.request : one.request ? JSON.stringify(one.request) : "";
  return row(`request-${one.seq}`, one.ok === false ? "bad" : "", [
    make("span", { class: "number" }, `${one.seq}`),
    make("span", { class: "kind" }, one.type),
    make("span", { class: "what" }, brief.slice(0, 240)),
    make("span", { class: "meta" }, one.ok === false ? [tag(one.code || "error", "bad"), " "] : null, one.ok === null ? tag("no reply", "warn") : duration(one.ms)),
  ], () => [
    json("Request", one.request),
    json(one.ok === false ? "Error" : "Reply", one.ok === false ? one.reply : one.reply),
    make("p", null,
      `At ${offset(one.at)}${one.id === null ? "" : `, id ${shown(one.id)}`}. `,
      job ? make("a", { href: `#job-${job.n}` }, `Its job: ${job.name}`) : null)]);
};

const exchangeText = (one) => `${one.method} ${one.url} ${one.status} ${one.failure} ${one.sent} ${one.got}`;
const exchangeRow = (one) => row(`exchange-${one.n}`, one.ok ? "" : "bad", [
  make("span", { class: "number" }, `${one.n}`),
  make("span", { class: "kind" }, one.method),
  make("span", { class: "what" }, one.failure ? `${one.url}: ${one.failure}` : one.url),
  make("span", { class: "meta" }, one.status ? [tag(`${one.status}`, one.ok ? "good" : "bad"), " "] : one.ok ? null : [tag("failed", "bad"), " "], duration(one.ms)),
], () => [json("Sent", one.sent), json("Received", one.got), make("p", null, `At ${offset(one.at)}. ${one.url}`)]);

const deliveryText = (one) => `${one.id} ${one.url} ${one.what} ${one.attempts.map((attempt) => attempt.failure).join(" ")}`;
const attemptTag = (attempt) => tag(attempt.status ? `${attempt.status}` : "failed", attempt.ok ? "good" : "bad");
const deliveryRow = (one) => row(`delivery-${one.id}`, one.ok ? "" : "bad", [
  make("span", { class: "number" }, one.attempts.length > 1 ? `×${one.attempts.length}` : ""),
  make("span", { class: "kind" }, one.host),
  make("span", { class: "what" }, one.what || one.url),
  make("span", { class: "attempts" }, one.attempts.map(attemptTag)),
], () => [
  make("div", null, make("h4", null, plural(one.attempts.length, "attempt")),
    make("ul", { class: "lines" }, one.attempts.map((attempt) => make("li", { class: attempt.ok ? "" : "bad" },
      `${offset(attempt.at)}  ${attempt.failure || attempt.status}  ${duration(attempt.ms)}${attempt.answer ? `  ${attempt.answer}` : ""}`)))),
  make("p", null, make("span", { class: "mono" }, one.id), make("br"), one.url)]);

const latencyChart = (type) => {
  const most = Math.max(1, ...type.bars.map(([, count]) => count));
  const width = 100 / Math.max(1, type.bars.length);
  const bars = type.bars.map(([edge, count], place) => {
    const height = count ? Math.max(2, (60 * count) / most) : 0;
    return draw("rect", { x: place * width + 0.4, y: 62 - height, width: Math.min(14, Math.max(0.5, width - 0.8)), height }, draw("title", null, `from ${duration(edge)}: ${count}`));
  });
  return make("article", { class: "chart panel" },
    make("header", null, make("h3", null, type.type), make("span", null, `${type.count.toLocaleString("en")}${type.failed ? ` · ${type.failed} failed` : ""}`)),
    draw("svg", { viewBox: "0 0 100 62", preserveAspectRatio: "none", role: "img", "aria-label": `Latency of ${type.type}: half below ${duration(type.p50)}, 99 % below ${duration(type.p99)}` }, bars),
    make("div", { class: "axis", "aria-hidden": "true" }, make("span", null, duration(type.bars[0]?.[0] ?? 0)), make("span", null, duration(type.max))),
    make("dl", null, [["median", type.p50], ["90 %", type.p90], ["99 %", type.p99], ["most", type.max]].map(([name, value]) => make("div", null, make("dt", null, name), make("dd", null, duration(value))))));
};
