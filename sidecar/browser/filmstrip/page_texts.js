// What a page shows as text, and how it is covered for a picture. Runs in a world of our own. Nothing in the document
// changes: a highlight and a style sheet are no mutations, and neither moves anything.
function (name, argument) {
  const MARK = "sidecar-covered";
  const getShadow = Object.getOwnPropertyDescriptor(Element.prototype, "shadowRoot").get;
  const queryAll = (root, selector) =>
    (root === document ? Document : DocumentFragment).prototype.querySelectorAll.call(root, selector);
  const UNSEEN = new Set(["SCRIPT", "STYLE", "NOSCRIPT", "TEMPLATE", "TEXTAREA", "OPTION"]);

  // Texts in order, those of shadow roots last; `fields` are the values of text fields and what boxes offer.
  const read = (most) => {
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
    globalThis.sidecarNodes = nodes;
    const frames = queryAll(document, "iframe,frame,object,embed").length;
    const view = [scrollX, scrollY, innerWidth, innerHeight, devicePixelRatio];
    return { texts, plain, fields, frames, view };
  };

  const cover = ({ covered, fields, frames }) => {
    const ranges = covered.map((index) => {
      const range = new Range();
      range.selectNodeContents(globalThis.sidecarNodes[index]);
      return range;
    });
    CSS.highlights.set(MARK, new Highlight(...ranges));
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
    return read(most);
  };

  return { read, cover, uncover }[name](argument);
}
