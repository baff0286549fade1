// What we ask of pages, from a world of our own: whatever a page's scripts have replaced is theirs alone. The elements
// are everybody's, and what stands in a form or a document may hide their members by its name (`<input name=innerText>`),
// so members are taken from the prototypes. The value is an object of functions that give JSON values, or promises.
(() => {
  // Taken when they are needed: in a new world each prototype costs a tenth of a millisecond, or a whole one.
  const member = (owner, name) => {
    let called;
    return (object, ...given) => {
      if (!called) {
        const { get, value } = Object.getOwnPropertyDescriptor(globalThis[owner].prototype, name);
        called = get ?? value;
      }
      return Reflect.apply(called, object, given);
    };
  };
  const getState = member("Document", "readyState");
  const getTitle = member("Document", "title");
  const getInner = member("HTMLElement", "innerText");
  const getText = member("Node", "textContent");
  const getHtml = member("Element", "innerHTML");
  const getAttribute = member("Element", "getAttribute");
  const createWalker = member("Document", "createTreeWalker");
  const getRoot = member("Document", "documentElement");
  const getBody = member("Document", "body");
  const getShadow = member("Element", "shadowRoot");
  const getControl = member("HTMLLabelElement", "control");
  const getOptions = member("HTMLSelectElement", "options");
  const getWidth = member("Element", "scrollWidth");
  const getHeight = member("Element", "scrollHeight");
  const ofDocument = { all: member("Document", "querySelectorAll"), first: member("Document", "querySelector") };
  const ofElement = { all: member("Element", "querySelectorAll"), first: member("Element", "querySelector") };
  const getBase = member("Node", "baseURI");
  const getParent = member("Node", "parentNode");
  const getName = member("Element", "localName");
  const getRows = member("HTMLTableElement", "rows");
  const getCells = member("HTMLTableRowElement", "cells");
  const getColumnSpan = member("HTMLTableCellElement", "colSpan");
  const getRowSpan = member("HTMLTableCellElement", "rowSpan");
  const query = (root) => (root === document ? ofDocument : ofElement);
  const state = () => getState(document);

  const orNull = (get) => (element) => {
    try {
      return get(element);
    } catch {
      return null; // an element of another kind
    }
  };
  const inner = orNull(getInner); // SVG and the like have none
  const control = orNull(getControl);
  const options = orNull(getOptions);
  const text = (element) => (inner(element) ?? getText(element)).trim();

  const plain = (element, spec) => (spec.attribute ? getAttribute(element, spec.attribute) : text(element));

  // A table as rows of texts, a cell's text in each place that it spans; null without a table. What spans multiply is
  // bounded: `large` stands for a table of more.
  const MOST_CELLS = 100000;
  const MOST_TEXT = 1 << 23;
  const table = (element) => {
    const found = getName(element) === "table" ? element : ofElement.first(element, "table");
    if (found === null) return null;
    const heads = [];
    const rows = [];
    let spanned = []; // column -> the text that goes on from a row above, and for how many rows
    let section = null;
    let count = 0;
    let length = 0;
    for (const row of Array.from(getRows(found))) {
      if (getParent(row) !== section) spanned = [];
      section = getParent(row);
      const cells = Array.from(getCells(row));
      const line = [];
      const put = (value) => {
        line.push(value);
        count += 1;
        length += value.length;
      };
      let next = 0;
      while ((next < cells.length || line.length < spanned.length) && count <= MOST_CELLS && length <= MOST_TEXT) {
        const above = spanned[line.length];
        if (above?.rows > 0) {
          above.rows -= 1;
          put(above.value);
        } else if (next === cells.length) {
          put("");
        } else {
          const cell = cells[next++];
          const value = text(cell);
          const down = getRowSpan(cell) || 65534;
          for (let width = getColumnSpan(cell); width > 0 && count <= MOST_CELLS && length <= MOST_TEXT; width--) {
            spanned[line.length] = { rows: down - 1, value };
            put(value);
          }
        }
      }
      if (count > MOST_CELLS || length > MOST_TEXT) return { large: true };
      while (spanned.length > 0 && !(spanned.at(-1)?.rows > 0)) spanned.pop();
      const isHead = cells.length > 0 && cells.every((cell) => getName(cell) === "th");
      const inHead = getName(section) === "thead" || (rows.length === 0 && heads.length === 0 && isHead);
      (inHead ? heads : rows).push(line);
    }
    return { heads, rows };
  };
  const absolute = (element, spec) => {
    const raw = spec.attribute
      ? getAttribute(element, spec.attribute)
      : (getAttribute(element, "href") ?? getAttribute(element, "src") ?? text(element));
    if (raw === null) return null;
    try {
      return [raw, new URL(raw, getBase(document)).href];
    } catch {
      return [raw, null];
    }
  };
  const typed = {
    url: absolute,
    table,
    date: (element, spec) => (spec.attribute ? null : getAttribute(element, "datetime")) ?? plain(element, spec),
  };

  const hasShadow = () => {
    const walker = createWalker(document, document, NodeFilter.SHOW_ELEMENT);
    for (let element = walker.nextNode(); element !== null; element = walker.nextNode()) {
      if (getShadow(element) !== null) return true;
    }
    return false;
  };

  // Without open shadow roots, what a plain selector finds is what Playwright finds by it.
  const plainly = {
    all: (root, spec) => Array.from(query(root).all(root, spec.css)),
    first: (root, spec) => query(root).first(root, spec.css),
  };
  const readAll = (root, fields, find) => {
    const values = Object.create(null);
    for (const [name, spec] of fields) {
      if (spec.all) {
        values[name] = find.all(root, spec).map((found) => read(found, spec, find));
      } else {
        const found = find.first(root, spec);
        values[name] = found === null ? null : read(found, spec, find);
      }
    }
    return values;
  };
  const read = (element, spec, find) => {
    if (spec.fields) return readAll(element, spec.fields, find);
    return spec.type ? typed[spec.type](element, spec) : plain(element, spec);
  };

  const stored = async () => {
    const local = [];
    for (let index = 0; index < localStorage.length; index++) {
      const name = localStorage.key(index);
      local.push({ name, value: localStorage.getItem(name) });
    }
    return { origin: location.origin, local, databases: (await indexedDB.databases()).length };
  };
  const withStorage = async (seen) => {
    const late = new Promise((done) => setTimeout(done, 500, null));
    return { ...seen, storage: await Promise.race([stored().catch(() => null), late]) };
  };

  return {
    state,
    title: () => getTitle(document),
    // Two turns of the page's event loop later: a navigation that a script asked for has begun by then.
    turns: () => new Promise((done) => setTimeout(() => setTimeout(() => done(state())))),
    // Title, values and storage at once. Where `fields` can't be read so, `values` is left out.
    look: ({ fields, storage }, find) => {
      const seen = { title: getTitle(document), state: state() };
      if (fields !== null) {
        if (!find && hasShadow()) return { ...seen, pierced: true };
        seen.values = readAll(document, fields, find ?? plainly);
      }
      return storage ? withStorage(seen) : seen;
    },
    // Where the document leads by itself, as its author wrote it, and how far it has come.
    leads: () => {
      const meta = ofDocument.first(document, "meta[http-equiv='refresh' i][content]");
      return [meta === null ? "" : getAttribute(meta, "content"), state()];
    },
    status: () => performance.getEntriesByType("navigation")[0]?.responseStatus || null,
    // Of a box, or of the box that a label is for: how many, then value and label of the first short ones.
    options: ({ found }) =>
      found.map((box) => {
        const all = Array.from(options(control(box) ?? box) ?? [], (option) => [option.value, option.label]);
        return [all.length, all.filter((texts) => texts.join().length < 80).slice(0, 20)];
      }),
    inner: ({ found }) => found.map(inner),
    content: ({ found }) => found.map((element) => getText(element) ?? ""),
    html: ({ found }) => found.map(getHtml),
    attribute: ({ found, argument }) => found.map((element) => getAttribute(element, argument)),
    size: () => {
      const boxes = [getRoot(document), getBody(document)].filter((box) => box !== null);
      return {
        width: Math.max(innerWidth, ...boxes.map((box) => getWidth(box))),
        height: Math.max(innerHeight, ...boxes.map((box) => getHeight(box))),
        inner_width: innerWidth,
        inner_height: innerHeight,
        ratio: devicePixelRatio,
        scroll_x: scrollX,
        scroll_y: scrollY,
        zoom: visualViewport?.scale ?? 1,
      };
    },
    scroll: ([x, y]) => void window.scrollTo(x, y), // which may give a promise of the end of a slow one
  };
})()
