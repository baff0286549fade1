// Jobs: each as a filmstrip of its steps, its network, what it printed, what it found, and why it failed.
const jobText = (job) => [
  job.name, job.browser, job.failure?.message, job.failure?.code,
  ...job.steps.flatMap((step) => [step.name, step.url, step.title, ...step.console, ...step.errors, ...step.actions.map((one) => one.label)]),
  ...job.network.map((one) => one.url), job.extract ? JSON.stringify(job.extract) : "",
].join(" ");

// What of a job has, or could have, a picture; in order, with the time in the job.
const jobFrames = (job) => {
  const frames = [];
  job.steps.forEach((step, place) => {
    for (const action of step.actions) frames.push({ ...action, at: action.at + action.ms, step: place });
    const failed = job.failure?.step === place;
    if (!failed && !step.failed) frames.push({ label: "", end: true, at: step.at + step.ms, ms: step.ms, picture: step.picture, step: place });
    if (failed) {
      const { picture: name, action, at, target } = job.failure;
      frames.push({ label: action || "", failed: true, at, ms: null, picture: name ?? step.picture, target, step: place });
    }
  });
  return frames;
};

const frameCard = (data, job, frame) => {
  const step = job.steps[frame.step];
  const what = frame.failed ? "failed here" : frame.end ? "end of the step" : frame.label;
  const shot = picture(data, frame.picture, `${step.name}: ${what}`, frame.target);
  return make("figure", { class: `frame-card${frame.failed ? " failed" : ""}` },
    shot ?? make("div", { class: "empty" }, "no picture"),
    make("figcaption", null,
      frame.label ? make("code", null, frame.label) : frame.failed ? "failed here" : "end of the step",
      frame.value === null || frame.value === undefined ? null : make("code", null, `→ ${shown(frame.value)}`),
      " ", make("span", { class: "meta" }, frame.failed ? tag("failed", "bad") : duration(frame.ms))));
};

// What was done in a step of which there is no picture.
const frameLine = (frame) => make("li", { class: frame.failed ? "bad" : "" },
  frame.label || (frame.failed ? "failed" : "end of the step"), frame.value === null || frame.value === undefined ? "" : ` → ${shown(frame.value)}`, frame.ms === null ? "" : `  ${duration(frame.ms)}`);

const stepView = (data, job, step, place) => {
  const frames = jobFrames(job).filter((frame) => frame.step === place);
  const lines = [...step.console.map((text) => [text, ""]), ...step.errors.map((text) => [text, "bad"])];
  return make("div", { class: "step" },
    make("div", { class: "step-title" },
      make("h3", null, `${place + 1}. ${step.name}`),
      step.status ? tag(`${step.status}`, step.status >= 400 ? "bad" : "good") : null,
      step.title ? make("span", null, step.title) : null,
      make("span", { class: "address" }, step.url)),
    frames.some((frame) => frame.picture) ? make("div", { class: "strip", tabindex: "0", role: "group", "aria-label": `Pictures of ${step.name}` }, frames.map((frame) => frameCard(data, job, frame)))
      : frames.length ? make("ul", { class: "lines" }, frames.map(frameLine)) : null,
    lines.length ? make("div", null, make("h4", null, "Console and errors"), make("ul", { class: "lines", tabindex: "0" }, lines.map(([text, kind]) => make("li", { class: kind }, text)))) : null);
};

const waterfall = (job) => {
  const entries = job.network;
  if (!entries.length) return null;
  const length = Math.max(1, ...entries.map((one) => (one.at ?? 0) + one.ms));
  const rows = entries.map((one) => {
    const left = (100 * Math.max(0, one.at ?? 0)) / length, width = Math.max(0.8, (100 * one.ms) / length);
    return make("tr", { class: one.ok || one.status === 304 ? "" : "bad" },
      make("td", { class: "url" }, `${one.method} ${one.url}`),
      make("td", null, one.failure || `${one.status || "–"}`),
      make("td", null, one.type),
      make("td", { class: "number" }, bytes(one.size)),
      make("td", { class: "number" }, duration(one.ms)),
      make("td", { class: "bar-cell" }, draw("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" }, draw("rect", { x: Math.min(left, 99.2), y: 2, width: Math.min(width, 100), height: 8 }))));
  });
  const heads = [["Request", ""], ["Status", ""], ["Type", ""], ["Size", "number"], ["Time", "number"], ["When", "bar-cell"]];
  return make("div", null,
    make("h4", null, `Network: ${plural(job.network_count ?? entries.length, "request")}${(job.network_count ?? 0) > entries.length ? `, the first ${entries.length} listed` : ""}`),
    make("div", { class: "waterfall", tabindex: "0", role: "region", "aria-label": "Network" },
      make("table", null, make("thead", null, make("tr", null, heads.map(([text, kind]) => make("th", { scope: "col", class: kind }, text)))), make("tbody", null, rows))));
};

const failureView = (data, job) => {
  if (!job.failure) return null;
  const found = data.failures.find((one) => one.job === job.n);
  const shot = picture(data, job.failure.picture, `${job.name} when it failed`, job.failure.target);
  return make("div", { class: `job-failure${shot ? " with-picture" : ""}` },
    make("div", null,
      make("p", { class: "verdict" }, "Why it failed"),
      found?.where ? make("p", { class: "where" }, `At ${found.where}${found.url ? `, on ${found.url}` : ""}`) : null,
      make("ul", { class: "causes" }, [job.failure.message, ...(found?.causes ?? [])].map((text) => make("li", null, sentence(text))))),
    shot);
};

const missingPictures = (job) => {
  const notes = [];
  if (job.left_out.late) notes.push(`${plural(job.left_out.late, "picture was", "pictures were")} not taken, to keep the job at its speed`);
  if (job.left_out.secret) notes.push(`${plural(job.left_out.secret, "picture was", "pictures were")} dropped, as a secret could not be covered`);
  if (job.pictures_left_out) notes.push(`${plural(job.pictures_left_out, "picture is", "pictures are")} only in the recording, in jobs/${job.folder}`);
  return notes.length ? make("p", { class: "where" }, `${notes.join("; ")}.`) : null;
};

const artifacts = (data, job) => (job.artifacts.length ? make("div", null,
  make("h4", null, "Artifacts"),
  make("ul", { class: "lines" }, job.artifacts.map((one) => make("li", null,
    one.file ? make("a", { href: `${data.about.base}jobs/${job.folder}/${one.file}`, target: "_blank", rel: "noreferrer" }, one.kind) : one.kind,
    ` ${one.name}  ${bytes(one.size)}${one.file ? "" : ", not recorded"}`)))) : null);

const jobBody = (data, job) => make("div", { class: "job-body" },
  failureView(data, job),
  job.steps.map((step, place) => stepView(data, job, step, place)),
  missingPictures(job),
  waterfall(job),
  artifacts(data, job),
  json("Extract", job.extract),
  job.seq === null ? null : make("p", null, make("a", { href: `#request-${job.seq}` }, `The request, number ${job.seq}`)));

const jobOutcome = (job) => {
  if (job.ok === false) return tag("failed", "bad");
  if (job.ok === null) return tag(job.status || "unfinished", "warn");
  return job.status === "skipped" || job.status === "cancelled" ? tag(job.status) : tag("ok", "good");
};

const jobView = (data, job) => {
  const view = make("details", { class: "job panel", id: `job-${job.n}` },
    make("summary", null,
      jobOutcome(job),
      make("span", { class: "name" }, job.name),
      make("span", { class: "meta" }, [job.browser.toLowerCase(), plural(job.steps.length, "step"), duration(job.ms), job.at === null ? "" : `at ${offset(job.at)}`].filter(Boolean).join(" · ")),
      job.failure ? make("span", { class: "said" }, job.failure.message) : null));
  // Built when it is opened: most never are.
  view.addEventListener("toggle", () => view.open && view.children.length === 1 && view.append(jobBody(data, job)));
  return view;
};
