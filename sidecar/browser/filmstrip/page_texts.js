// What a page shows as text, and how it is covered for a picture. Runs in a world of our own. Nothing in the document
// changes: a highlight and a style sheet are no mutations, and neither moves anything. From `read` on, what the page shows
// is read again at each change: a picture is of a frame between two of them.
function (name, argument) {
  const MARK = "sidecar-covered";
  const getShadow = Object.getOwnPropertyDescriptor(Element.prototype, "shadowRoot").get;
  const queryAll = (root, selector) =>
    (root === document ? Document : DocumentFragment).prototype.querySelectorAll.call(root, selector);
  const MAX_CHANGES = 50;  // that are kept; what changes more often shows more than can be looked at
  const UNSEEN = new Set(["SCRIPT", "STYLE", "NOSCRIPT", "TEMPLATE", "TEXTAREA", "OPTION"]);

  // Texts in order, those of shadow roots last; `fields` are the values of text fields and what boxes offer.
  const readNow = (most) => {
    const texts = [], nodes = [], fields = [];
    let length = 0, shadows = 0, plain = 0;
    const roots = [document];
    for (const root of roots) {
      const walker = Document.prototype.createTreeWalker.call(document, root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
        if (node.nodeType === Node.TEXT_NODE) {
          const text = node.nodeValue;
          if (!text.trim() || UNSEEN.has(node.parentElement?.tagName)) continue;
          length += text.length;
          texts.push(text);
          nodes.push(node);
        } else {
          const shadow = getShadow.call(node);
          if (shadow !== null) roots.push(shadow);
        }
        if (length > most) return null;
      }
      for (const field of queryAll(root, "input,textarea,option")) {
        if (field.type === "password" || field.type === "hidden") continue;
        const text = [field.value, field.placeholder, field.label].filter((one) => typeof one === "string").join("\n");
        length += text.length;
        fields.push(text);
        if (length > most) return null;
      }
      if (root === document) plain = texts.length;
    }
    const frames = queryAll(document, "iframe,frame,object,embed").length;
    const view = [scrollX, scrollY, innerWidth, innerHeight, devicePixelRatio];
    return { shown: { texts, plain, fields, frames, view }, nodes, roots };
  };

  // Whether each range still is over the whole of its text; a text that is set or replaced loses it.
  const areWhole = (ranges) =>
    ranges.every(({ range, node }) =>
      node.isConnected && range.startContainer === node && range.endContainer === node && range.endOffset === node.length);

  const read = (most) => {
    const first = readNow(most);
    globalThis.sidecarReading?.observer.disconnect();  // of a picture that was given up
    if (first === null) return null;
    const between = [], covered = [];
    const watch = (roots) => {
      for (const root of roots) observer.observe(root, { subtree: true, childList: true, characterData: true });
    };
    const observer = new MutationObserver(() => {
      const next = between.length < MAX_CHANGES && areWhole(covered) ? readNow(most) : null;
      between.push(next?.shown ?? null);
      if (next === null) observer.disconnect();
      else watch(next.roots);
    });
    watch(first.roots);
    globalThis.sidecarReading = { nodes: first.nodes, covered, between, observer };
    return first.shown;
  };

  // What was shown since `read`, each state once; null where that is too much, or what was covered may have been seen.
  const readAgain = (most) => {
    const { covered, between, observer } = globalThis.sidecarReading;
    observer.disconnect();
    globalThis.sidecarReading = null;
    const last = areWhole(covered) ? readNow(most) : null;
    const states = [...between, last === null ? null : last.shown];
    if (states.includes(null)) return null;
    const kept = new Map(states.map((state) => [JSON.stringify([state.texts, state.fields, state.frames]), state]));
    return [...kept.values()];
  };

  const cover = ({ covered, fields, frames }) => {
    const reading = globalThis.sidecarReading;
    for (const index of covered) {
      const [range, node] = [new Range(), reading.nodes[index]];
      range.selectNodeContents(node);
      reading.covered.push({ range, node });
    }
    CSS.highlights.set(MARK, new Highlight(...reading.covered.map(({ range }) => range)));
    const rules = [
      `::highlight(${MARK}){color:transparent;-webkit-text-fill-color:transparent;background-color:#5b6470;text-shadow:none}`,
    ];
    if (fields) {
      rules.push("input,textarea,select{-webkit-text-security:disc!important;transition:none!important}");
      rules.push("input::placeholder,textarea::placeholder{color:transparent!important}select{color:transparent!important}");
    }
    if (frames) rules.push("iframe,frame,object,embed{opacity:0!important;transition:none!important}");
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(rules.join("\n"));
    globalThis.sidecarSheet = sheet;
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    return true;
  };

  const uncover = (most) => {
    CSS.highlights.delete(MARK);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets].filter((one) => one !== globalThis.sidecarSheet);
    globalThis.sidecarSheet = null;
    return readAgain(most);
  };

  return { read, readAgain, cover, uncover }[name](argument);
}
