// The session as lanes over time. `view` is the part that is shown, in milliseconds; the slider chooses a moment in it.
const LANES = [
  ["message", "Messages"],
  ["browser", "Browser"],
  ["server", "Servers"],
  ["webhook", "Webhooks"],
];
const LABEL_HEIGHT = 18, LANE_HEIGHT = 15, LANE_GAP = 8, MAX_ROWS = 6, MIN_SPAN = 5;

const timelineItems = (data) => {
  const items = [];
  const add = (lane, at, ms, link, label, failed, text, extra) => {
    if (at !== null && at !== undefined) items.push({ lane, at, end: at + (ms ?? 0), link, label, failed, text, ...extra });
  };
  for (const one of data.messages) {
    add("message", one.at, one.ms, `request-${one.seq}`, one.type, one.ok === false, `${one.type} ${one.error} ${one.code}`);
  }
  for (const job of data.jobs) add("browser", job.at, job.ms, `job-${job.n}`, job.name, job.ok === false, jobText(job), { job });
  for (const one of data.servers) {
    add("server", one.at, one.ms, `exchange-${one.n}`, `${one.method} ${one.url}`, !one.ok, `${one.url} ${one.failure}`);
  }
  for (const one of data.webhooks) {
    for (const attempt of one.attempts) {
      add("webhook", attempt.at, attempt.ms, `delivery-${one.id}`, one.what || one.url, !attempt.ok, `${one.what} ${one.url}`);
    }
  }
  return items.sort((one, other) => one.at - other.at);
};

// Rows within a lane, so that what happens at once is seen side by side.
const arrange = (items) => {
  const counts = {};
  for (const [lane] of LANES) {
    const ends = [];
    for (const item of items) {
      if (item.lane !== lane) continue;
      let row = ends.findIndex((end) => end <= item.at);
      if (row < 0) row = ends.length < MAX_ROWS ? ends.length : ends.indexOf(Math.min(...ends));
      ends[row] = item.end;
      item.row = row;
    }
    counts[lane] = Math.max(1, ends.length);
  }
  return counts;
};

const niceStep = (span, most) => {
  const raw = span / most, power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw);
};

class Timeline {
  constructor(section, data) {
    this.section = section;
    this.view = null;
    this.moment = 0;
    this.query = "";
    this.svg = draw("svg", { role: "group", "aria-label": "Timeline" });
    this.body = make("div", { class: "timeline-body" }, this.svg);
    this.slider = make("input", { type: "range", min: 0, max: 1000, value: 0, "aria-label": "Moment of the session" });
    this.now = make("div", { class: "now" });
    this.frame = make("div", { class: "frame" });
    const button = (label, text, act) => make("button", { class: "button", type: "button", "aria-label": label, onclick: act }, text);
    section.replaceChildren(
      make("div", { class: "timeline-head section-head" },
        make("h2", { id: "timeline-title" }, "Timeline"),
        make("p", null, "Zoom with the wheel, two fingers, + or −; move by dragging or with ← and →."),
        make("div", { class: "tools" },
          button("Zoom in", "+", () => this.zoom(0.5)), button("Zoom out", "−", () => this.zoom(2)), button("Whole session", "All", () => this.showAll()))),
      this.body,
      make("div", { class: "scrub" }, make("div", null, this.slider, make("output", null, this.now)), this.frame));
    this.slider.addEventListener("input", () => this.setMoment(this.view[0] + (this.slider.value / 1000) * this.span));
    this.section.addEventListener("keydown", (event) => this.onKey(event));
    this.body.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.followPointer();
    new ResizeObserver(() => this.render()).observe(this.body);
    this.update(data);
  }

  get span() { return this.view[1] - this.view[0]; }

  update(data) {
    const followed = this.view === null || (this.view[0] === 0 && this.view[1] === this.length);
    this.data = data;
    this.length = data.length;
    this.items = timelineItems(data);
    this.rows = arrange(this.items);
    if (followed) this.view = [0, this.length];
    const failed = this.items.find((item) => item.lane === "browser" && item.failed);
    if (!this.chosen) this.moment = failed ? Math.max(0, failed.end - 1) : this.length;
    this.render();
    this.setMoment(this.moment);
  }

  showAll() { this.setView(0, this.length); }

  setView(from, to) {
    const span = Math.min(this.length, Math.max(MIN_SPAN, to - from));
    const start = Math.max(0, Math.min(this.length - span, from));
    this.view = [start, start + span];
    this.render();
    this.setMoment(Math.min(this.view[1], Math.max(this.view[0], this.moment)));
  }

  zoom(factor, around = this.moment) {
    const share = (Math.min(this.view[1], Math.max(this.view[0], around)) - this.view[0]) / this.span;
    const span = this.span * factor, middle = this.view[0] + share * this.span;
    this.setView(middle - share * span, middle + (1 - share) * span);
  }

  onKey(event) {
    if (event.target.tagName === "INPUT" && event.key.startsWith("Arrow")) return; // the slider moves by itself
    const acts = {
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.showAll(),
      ArrowLeft: () => this.setView(this.view[0] - this.span / 5, this.view[1] - this.span / 5),
      ArrowRight: () => this.setView(this.view[0] + this.span / 5, this.view[1] + this.span / 5),
    };
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[event.key]();
  }

  onWheel(event) {
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      this.setView(this.view[0] + (event.deltaX / this.width) * this.span, this.view[1] + (event.deltaX / this.width) * this.span);
    } else if (event.ctrlKey || this.section.contains(document.activeElement) || this.span < this.length) {
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.timeAt(event));
    }
  }

  timeAt(event) {
    const place = this.svg.getBoundingClientRect();
    return this.view[0] + Math.max(0, Math.min(1, (event.clientX - place.left) / place.width)) * this.span;
  }

  // A drag moves the view, two fingers zoom, a click chooses the moment.
  followPointer() {
    const fingers = new Map();
    let start = null, moved = false;
    this.svg.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, event.clientX);
      moved = fingers.size > 1;
      start = { x: event.clientX, view: [...this.view], gap: gap() };
    });
    const gap = () => Math.abs([...fingers.values()].reduce((one, other) => one - other, 0));
    this.svg.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId) || !start) return;
      fingers.set(event.pointerId, event.clientX);
      const [from, to] = start.view, span = to - from;
      if (fingers.size === 2) {
        const factor = start.gap / Math.max(20, gap()), middle = (from + to) / 2;
        this.setView(middle - (span * factor) / 2, middle + (span * factor) / 2);
      } else if (Math.abs(event.clientX - start.x) > 4) {
        moved = true;
        this.svg.setPointerCapture(event.pointerId);
        const shift = ((start.x - event.clientX) / this.width) * span;
        this.setView(from + shift, to + shift);
      }
    });
    const end = (event) => {
      fingers.delete(event.pointerId);
      if (!moved && event.type === "pointerup") {
        this.chosen = true;
        this.setMoment(this.timeAt(event));
      }
    };
    this.svg.addEventListener("pointerup", end);
    this.svg.addEventListener("pointercancel", end);
    this.svg.addEventListener("click", (event) => moved && event.preventDefault(), true);
  }

  search(query) {
    this.query = query;
    this.render();
  }

  render() {
    this.width = this.body.clientWidth - 2 * parseFloat(getComputedStyle(this.body).paddingLeft);
    if (!(this.width > 0)) return;
    const x = (at) => ((at - this.view[0]) / this.span) * this.width;
    const parts = [];
    let top = 0;
    const tops = {};
    for (const [lane, name] of LANES) {
      const height = this.rows[lane] * LANE_HEIGHT;
      parts.push(draw("text", { class: "lane-name", x: 0, y: top + 13 }, name));
      parts.push(draw("rect", { class: "lane", x: 0, y: top + LABEL_HEIGHT, width: this.width, height, rx: 4 }));
      tops[lane] = top + LABEL_HEIGHT;
      top += LABEL_HEIGHT + height + LANE_GAP;
    }
    const step = niceStep(this.span, Math.max(2, this.width / 110));
    for (let at = Math.ceil(this.view[0] / step) * step; at <= this.view[1]; at += step) {
      parts.push(draw("line", { class: "tick", x1: x(at), x2: x(at), y1: LABEL_HEIGHT, y2: top }));
      const edge = x(at) > this.width - 30 ? "end" : x(at) < 20 ? "start" : "middle";
      parts.push(draw("text", { x: x(at), y: top + 13, "text-anchor": edge }, offset(at, step * 4)));
    }
    const last = {};
    for (const item of this.items) {
      if (item.end < this.view[0] || item.at > this.view[1]) continue;
      const left = Math.max(0, x(item.at)), width = Math.max(item.failed ? 4 : 2.5, Math.min(this.width, x(item.end)) - left);
      const place = `${item.lane}${item.row}${item.failed}`;
      if (last[place] !== undefined && left + width < last[place] + 0.6 && !this.query) continue; // drawn over by the one before
      last[place] = left + width;
      const dim = this.query && !item.text.toLowerCase().includes(this.query);
      const reachable = item.lane === "browser" || item.failed;
      parts.push(draw("a", { class: `item${dim ? " dim" : ""}`, href: `#${item.link}`, tabindex: reachable ? 0 : -1, "aria-label": `${item.label}, ${offset(item.at)}, ${duration(item.end - item.at)}${item.failed ? ", failed" : ""}` },
        draw("title", null, `${item.label} · ${offset(item.at)} · ${duration(item.end - item.at)}`),
        draw("rect", { class: item.failed ? "failed" : `of-${item.lane}`, x: left, y: tops[item.lane] + item.row * LANE_HEIGHT + 1.5, width, height: LANE_HEIGHT - 3, rx: 2 })));
    }
    this.line = draw("line", { class: "moment", y1: 0, y2: top });
    parts.push(this.line);
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${top + 20}`);
    this.svg.setAttribute("height", top + 20);
    this.svg.replaceChildren(...parts);
    this.placeLine();
  }

  placeLine() {
    const x = ((this.moment - this.view[0]) / this.span) * this.width;
    this.line?.setAttribute("x1", x);
    this.line?.setAttribute("x2", x);
  }

  setMoment(at) {
    this.moment = at;
    this.slider.value = Math.round(((at - this.view[0]) / this.span) * 1000);
    this.slider.setAttribute("aria-valuetext", offset(at, this.span));
    this.placeLine();
    const running = this.items.filter((item) => item.at <= at && item.end >= at).slice(0, 6);
    const links = running.map((item, index) => [index ? ", " : "", make("a", { href: `#${item.link}` }, item.label.slice(0, 80))]);
    this.now.replaceChildren(make("strong", null, offset(at, this.span)), running.length ? [" · "] : " · nothing was going on", ...links.flat());
    const frame = this.frameAt(at);
    this.frame.replaceChildren(...(frame ? [picture(this.data, frame.picture, `${frame.name} at ${offset(frame.at)}`, frame.target)] : []));
  }

  // The newest picture of a job that ran at that moment, or of the last one before it.
  frameAt(at) {
    let found = null;
    for (const job of this.data.jobs) {
      if (job.at === null || job.at > at) break;
      for (const one of jobFrames(job)) {
        const taken = job.at + one.at;
        if (one.picture && taken <= at + 1 && (!found || taken >= found.at)) found = { ...one, at: taken, name: job.name };
      }
    }
    return found;
  }
}
