// A selector engine by whose name Playwright lets us ask in its own world of a page, and use its selectors there: what
// they find is handed from engine to engine. An answer is the text of an element that stands in no document.
(answers) => {
  const kept = new Map(); // number of a question -> what was found for it, and its answer once that has come
  const create = Object.getOwnPropertyDescriptor(Document.prototype, "createElement").value;
  const nowhere = Reflect.apply(create, document, ["data"]); // stands for no element at all
  const of = (number) => {
    if (!kept.has(number)) kept.set(number, { found: [], of: new Map() });
    return kept.get(number);
  };

  const answered = (number, value) => {
    kept.delete(number);
    const carrier = Reflect.apply(create, document, ["data"]);
    carrier.append(JSON.stringify(value ?? null));
    return [carrier];
  };
  // Where the answer is a promise there is no element yet, and Playwright asks again.
  const ask = (number, name, argument, find) => {
    const question = of(number);
    if (!("answer" in question)) {
      const answer = answers[name](argument, find);
      if (!(answer instanceof Promise)) return answered(number, answer);
      question.answer = null;
      answer.then((value) => (question.answer = { value }), (error) => (question.answer = { error }));
    }
    if (question.answer?.error) {
      kept.delete(number);
      throw question.answer.error;
    }
    return question.answer ? answered(number, question.answer.value) : [];
  };

  const verbs = {
    // `ask` alone: a question. With selectors: `begin`, for each field the others, then `give`.
    ask: (_, number, name, argument) => ask(number, name, argument),
    begin: (_, number) => {
      of(number).of.clear();
      return [nowhere];
    },
    row: (root, number, field) => {
      const { of: fields } = of(number);
      if (!fields.has(field)) fields.set(field, new Map());
      fields.get(field).set(root, []);
      fields.get(field).last = root;
      return [root];
    },
    take: (root, number, field) => {
      const found = of(number).of.get(field);
      found.get(found.last).push(root);
      return [];
    },
    rows: (_, number, field, all) => [...of(number).of.get(field).values()].flatMap((found) => (all ? found : found.slice(0, 1))),
    give: (_, number, name, argument) => {
      const { of: fields } = of(number);
      const all = (root, spec) => fields.get(spec.n)?.get(root) ?? [];
      return ask(number, name, argument, { all, first: (root, spec) => all(root, spec)[0] ?? null });
    },
    // What a locator finds, one after the other; then what is asked of them all.
    gather: (root, number) => {
      of(number).found.push(root);
      return [nowhere];
    },
    tell: (_, number, name, argument) => {
      const { found } = of(number);
      return ask(number, name, { found, argument });
    },
  };
  return {
    queryAll(root, body) {
      const [verb, ...given] = JSON.parse(decodeURIComponent(body));
      return verbs[verb](root, ...given);
    },
  };
}
