"use strict";
// Elements are made one by one, their texts set as text: nothing that a page or a server said is ever read as HTML.
const SVG = "http://www.w3.org/2000/svg";

const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(4)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
};
const make = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
const draw = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);
const byId = (id) => document.getElementById(id);

const duration = (ms) => {
  if (ms === null || ms === undefined) return "–";
  if (ms < 10) return `${Math.round(ms * 10) / 10} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
  const minutes = Math.floor(ms / 60000);
  if (minutes < 60) return `${minutes} min ${Math.round((ms % 60000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};
// Since the session began, as precise as the span that is shown needs.
const offset = (ms, span = 0) => {
  if (ms === null || ms === undefined) return "";
  const seconds = ms / 1000;
  const digits = span && span < 2000 ? 3 : span && span < 20000 ? 2 : 1;
  if (seconds < 60) return `${seconds.toFixed(digits)} s`;
  const hours = Math.floor(seconds / 3600), minutes = Math.floor((seconds % 3600) / 60);
  const rest = Math.floor(seconds % 60).toString().padStart(2, "0");
  return hours ? `${hours}:${minutes.toString().padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
};
const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
const bytes = (count) => (count < 1000 ? `${count} B` : count < 1e6 ? `${(count / 1000).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`);
const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
const tag = (text, kind = "") => make("span", { class: `tag ${kind}` }, text);

// `code` in a sentence is between backticks.
const sentence = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", null, part) : part));

const json = (title, value) => {
  if (value === null || value === undefined) return null;
  const empty = typeof value === "object" && Object.keys(value).length === 0;
  if (empty || value === "") return null;
  return make("div", null, make("h4", null, title), make("pre", { class: "json", tabindex: "0" }, shown(value)));
};

const pictureSource = (data, name) => (name && data.pictures[name] ? `data:image/jpeg;base64,${data.pictures[name]}` : null);

// A picture, with the place of an element marked where it is given in the viewport's pixels.
const picture = (data, name, alt, target) => {
  const source = pictureSource(data, name);
  if (!source) return null;
  const build = (act) => {
    const parts = [make("img", { src: source, alt, decoding: "async", loading: "lazy" })];
    const box = target?.box, view = target?.viewport;
    if (box && view?.width && view?.height && box.y < view.height && box.y + box.height > 0) {
      const mark = make("span", { class: "mark" });
      const percent = (value, whole) => `${Math.max(-1, Math.min(101, (100 * value) / whole))}%`;
      mark.style.left = percent(box.x, view.width);
      mark.style.top = percent(box.y, view.height);
      mark.style.width = percent(Math.max(8, box.width), view.width);
      mark.style.height = percent(Math.max(8, box.height), view.height);
      parts.push(mark);
    }
    return make("button", { class: "shot", type: "button", "aria-label": `${alt}: ${act}`, onclick: act === "enlarge" ? open : close }, parts);
  };
  const viewer = byId("viewer");
  const close = () => viewer.close();
  const open = () => {
    viewer.replaceChildren(build("close"), make("p", null, alt));
    viewer.showModal();
  };
  return build("enlarge");
};

// Lists that may be long show their beginning, and more on demand.
const inPages = (container, items, build, size) => {
  let next = 0;
  const more = make("button", { class: "more", type: "button" });
  const add = () => {
    const batch = items.slice(next, next + size).map(build);
    next += batch.length;
    more.before(...batch);
    more.textContent = `Show ${Math.min(size, items.length - next)} more of ${items.length - next}`;
    more.hidden = next >= items.length;
    return batch[0];
  };
  more.addEventListener("click", () => add()?.querySelector("summary")?.focus());
  container.append(more);
  add();
  // Makes the item with this place in the list exist.
  return (place) => {
    while (next <= place && next < items.length) add();
  };
};
