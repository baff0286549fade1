// Puts the report together, and keeps it: search, links to its parts, newer data of a session that still runs.
const POLL_MS = 2000, PAGE_SIZE = 60;
const state = { data: JSON.parse(byId("data").textContent), query: "", onlyFailed: false, lists: {}, timeline: null };

const matches = (text) => !state.query || text.toLowerCase().includes(state.query);

const heading = (id, title, note, ...tools) => make("div", { class: "section-head" }, make("h2", { id: `${id}-title` }, title), note ? make("p", null, note) : null, tools.length ? make("div", { class: "tools" }, tools) : null);

const heroFailure = (data) => {
  const [first, ...further] = data.failures;
  const job = data.jobs.find((one) => one.n === first.job);
  const failedStep = job?.failure && job.steps[job.failure.step];
  const shot = job?.failure ? picture(data, job.failure.picture ?? failedStep?.picture, `${job.name} when it failed`, job.failure.target) : null;
  for (const image of shot ? shot.querySelectorAll("img") : []) [image.loading, image.decoding] = ["eager", "sync"];
  const ofJobs = data.jobs.filter((one) => one.ok === false && one.seq !== null && !one.async).length;
  const others = data.counts.failed - ofJobs; // of a job that failed its request has failed, too
  const counts = [
    data.counts.jobs_failed ? `${data.counts.jobs_failed} of ${plural(data.counts.jobs, "job")} failed` : "",
    !data.counts.jobs_failed && data.counts.failed ? `${data.counts.failed} of ${plural(data.counts.messages, "request")} failed` : "",
    data.counts.jobs_failed && others > 0 ? `${plural(others, "other request")} failed` : "",
    data.counts.deliveries_failed ? `${plural(data.counts.deliveries_failed, "delivery", "deliveries")} did not arrive` : "",
  ].filter(Boolean).join(", ") || "An exchange with a server failed";
  return make("div", { class: `hero panel failed${shot ? " with-picture" : ""}` },
    make("div", { class: "hero-text" },
      make("p", { class: "verdict" }, counts),
      make("h1", null, make("span", null, first.title), ": ", first.message),
      first.where || first.url ? make("p", { class: "where" }, [first.where, first.url].filter(Boolean).join(" · ")) : null,
      first.causes.length ? make("ul", { class: "causes" }, first.causes.map((text) => make("li", null, sentence(text)))) : null,
      make("div", { class: "hero-actions" }, make("a", { class: "button main", href: `#${first.link}` }, `Open the ${first.kind}`), make("a", { class: "button", href: "#timeline" }, "See it in time"))),
    shot ? make("div", { class: "hero-picture" }, shot) : null,
    further.length ? make("details", { class: "others", open: further.length < 5 },
      make("summary", null, `${plural(further.length, "other failure")}`),
      make("ul", null, further.map((one) => make("li", null, make("a", { href: `#${one.link}` }, make("strong", null, one.title), make("span", null, one.message)))))) : null);
};

const heroGood = (data) => {
  const running = state.live && !data.about.ended;
  return make("div", { class: "hero panel good" }, make("div", { class: "hero-text" },
    make("p", { class: "verdict" }, running ? "Running" : "All well"),
    make("h1", null, running ? "Nothing has failed so far" : "Nothing failed in this session"),
    make("p", { class: "where" }, `${plural(data.counts.messages, "request")} and ${plural(data.counts.jobs, "job")} in ${duration(data.length)}.`)));
};

const facts = (data) => {
  const { counts } = data;
  const fact = (link, value, words, bad = "", kind = "bad") => make("a", { href: `#${link}` }, make("strong", null, value.toLocaleString("en")), make("span", null, words), bad ? make("span", { class: kind }, `, ${bad}`) : null);
  return make("div", { class: "facts panel" },
    fact("jobs", counts.jobs, counts.jobs === 1 ? "job" : "jobs", counts.jobs_failed && `${counts.jobs_failed} failed`),
    fact("requests", counts.messages, counts.messages === 1 ? "request" : "requests", counts.failed && `${counts.failed} failed`),
    fact("servers", counts.servers, "exchanges with servers", counts.servers_failed && `${counts.servers_failed} failed`),
    fact("webhooks", counts.deliveries, counts.deliveries === 1 ? "delivery" : "deliveries", counts.deliveries_failed ? `${counts.deliveries_failed} failed` : counts.attempts_failed && `${counts.attempts_failed} tried again`, counts.deliveries_failed ? "bad" : "warn"),
    make("a", { href: "#timeline" }, make("strong", null, duration(data.length)), make("span", null, data.about.started_at.slice(0, 19).replace("T", " "))));
};

const showList = (id, title, note, items, text, build, ...tools) => {
  const section = byId(id);
  section.hidden = !items.length;
  delete state.lists[id];
  if (!items.length) return;
  const found = items.filter((one) => matches(text(one)) && (!state.onlyFailed || one.ok === false));
  const body = make("div", { class: id === "jobs" ? "" : "rows panel" });
  section.replaceChildren(heading(id, title, note, ...tools), body);
  if (found.length) state.lists[id] = { items: found, reveal: inPages(body, found, build, PAGE_SIZE) };
  else body.append(make("p", { class: "none" }, state.query || state.onlyFailed ? "Nothing matches." : "Nothing."));
};

const failedButton = () => make("button", { class: "button", type: "button", "aria-pressed": `${state.onlyFailed}`, onclick: () => { state.onlyFailed = !state.onlyFailed; showLists(); } }, "Failed only");

const showLists = () => {
  const { data } = state, jobs = new Map(data.jobs.map((job) => [job.seq, job]));
  const opened = [...document.querySelectorAll("details[id][open]")].map((one) => one.id);
  showList("jobs", "Jobs", "", data.jobs, jobText, (job) => jobView(data, job), failedButton());
  showList("requests", "Requests", data.messages.length < data.counts.messages ? `${data.messages.length} of ${data.counts.messages.toLocaleString("en")}` : "", data.messages, messageText, messageRow(jobs), failedButton());
  showList("webhooks", "Webhooks", data.counts.attempts_failed ? `${plural(data.counts.attempts, "attempt")}, ${data.counts.attempts_failed} failed` : "", data.webhooks, deliveryText, deliveryRow);
  showList("servers", "Servers", "", data.servers, exchangeText, exchangeRow);
  for (const id of opened) if (byId(id)) byId(id).open = true;
  if (state.query) {
    const count = ["jobs", "requests", "webhooks", "servers"].reduce((sum, id) => sum + document.querySelectorAll(`#${id} details[id]`).length, 0);
    byId("search-count").textContent = `${count} found`;
  } else byId("search-count").textContent = "";
};

const showSections = (data) => {
  const links = [["overview", "Overview"], ["timeline", "Timeline"], ["jobs", "Jobs", data.counts.jobs_failed], ["requests", "Requests", data.counts.failed], ["latency", "Latency"], ["webhooks", "Webhooks", data.counts.deliveries_failed], ["servers", "Servers", data.counts.servers_failed]];
  byId("sections").replaceChildren(...links.filter(([id]) => !byId(id).hidden).map(([id, name, bad]) => make("a", { href: `#${id}` }, name, bad ? [" ", make("b", null, `${bad}`)] : null)));
};

const showAbout = (data) => {
  const { about } = data;
  const state = about.ended ? (about.complete ? "The recording is complete." : "The recording is not complete: something was too large, or could not be written.") : "The session still runs, or its process was killed.";
  byId("about").replaceChildren(
    make("p", null, `Recorded by sidecar ${about.sidecar || "?"}, protocol ${about.protocol || "?"}, in the zone ${about.zone || "?"}, from ${about.started_at || "?"}. ${state}`),
    ...data.left_out.map((text) => make("p", null, text)),
    make("p", null, "Secrets are words such as secret_name_1f2e3d4c5b6a; covered in pictures. No part of this page comes from elsewhere."));
};

const show = () => {
  const { data } = state;
  document.body.classList.toggle("has-failures", data.failures.length > 0);
  byId("overview").replaceChildren(data.failures.length ? heroFailure(data) : heroGood(data), facts(data));
  byId("latency").hidden = !data.types.length;
  byId("latency").replaceChildren(heading("latency", "Latency", "of each type of request; each bar covers a wider range than the one before"), make("div", { class: "charts" }, data.types.map(latencyChart)));
  byId("timeline").hidden = !(data.messages.length || data.jobs.length);
  if (!byId("timeline").hidden) {
    if (state.timeline) state.timeline.update(data);
    else state.timeline = new Timeline(byId("timeline"), data);
  }
  showLists();
  showSections(data);
  showAbout(data);
};

// #job-3, #request-12, #delivery-…, #exchange-…: opens it, though it may be further down a long list.
const PLACES = { job: ["jobs", "n"], request: ["requests", "seq"], delivery: ["webhooks", "id"], exchange: ["servers", "n"] };
const follow = () => {
  const wanted = decodeURIComponent(location.hash.slice(1));
  const dash = wanted.indexOf("-"), place = PLACES[wanted.slice(0, dash)];
  document.querySelectorAll(".target").forEach((one) => one.classList.remove("target"));
  if (place) {
    const [list, member] = place, value = wanted.slice(dash + 1);
    const find = () => state.lists[list]?.items.findIndex((one) => `${one[member]}` === value) ?? -1;
    if (find() < 0 && (state.query || state.onlyFailed)) {
      state.query = byId("search").value = "";
      state.onlyFailed = false;
      showLists();
    }
    if (find() >= 0) state.lists[list].reveal(find());
  }
  const element = wanted && byId(wanted);
  if (!element) return;
  if (element.tagName === "DETAILS") {
    element.open = true;
    element.classList.add("target");
    element.querySelector("summary").focus({ preventScroll: true });
  } else element.focus({ preventScroll: true });
  element.scrollIntoView({ block: "start" });
};

const markSection = () => {
  let current = "overview";
  for (const link of byId("sections").children) {
    const section = byId(link.hash.slice(1));
    if (section.getBoundingClientRect().top < innerHeight / 3) current = section.id;
  }
  for (const link of byId("sections").children) {
    if (link.hash === `#${current}`) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
};

const poll = async (address, tag) => {
  const sign = byId("live-state");
  let next = tag;
  try {
    const response = await fetch(address, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
    if (response.status === 200) {
      next = response.headers.get("ETag");
      state.data = await response.json();
      const focused = document.activeElement?.closest("details[id]")?.id;
      show();
      if (focused) byId(focused)?.querySelector("summary").focus({ preventScroll: true });
    } else if (response.status !== 304) throw new Error(`${response.status}`);
    sign.classList.remove("lost");
    sign.textContent = state.data.about.ended ? "ended" : "live";
  } catch {
    sign.classList.add("lost");
    sign.textContent = "no connection";
  }
  setTimeout(poll, POLL_MS, address, next);
};

state.live = document.body.dataset.live;
show();
markSection();
follow();
// the browser itself goes to the link's place while the page loads, and takes the focus there
addEventListener("load", () => requestAnimationFrame(follow));
addEventListener("hashchange", follow);
addEventListener("scroll", markSection, { passive: true });
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#']");
  const hash = link && (link.hash ?? link.getAttribute("href"));
  if (hash && hash === location.hash) follow(); // the same link again
});
let typing = 0;
byId("search").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    state.query = event.target.value.trim().toLowerCase();
    showLists();
    state.timeline?.search(state.query);
  }, 120);
});
byId("search").form.addEventListener("submit", (event) => {
  event.preventDefault();
  byId("jobs").hidden ? byId("requests").scrollIntoView() : byId("jobs").scrollIntoView();
});
addEventListener("keydown", (event) => {
  const typed = event.target.matches?.("input, textarea");
  if (event.key === "/" && !typed) {
    event.preventDefault();
    byId("search").focus();
  }
});
if (state.live) {
  byId("live-state").hidden = false;
  byId("live-state").textContent = "live";
  poll(state.live, "");
}
