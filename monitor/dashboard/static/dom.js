/** Makes elements: text is always text, never markup. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function replace(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

export function link(page, parameters, ...children) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  const address = query.size ? `${page}?${query}` : page;
  return h("a", { href: address, "data-link": "" }, ...children);
}

export function badge(kind, text) {
  return h("span", { class: `badge ${kind}` }, text);
}

export function empty(title, detail = "") {
  return h("div", { class: "empty" }, h("strong", {}, title), detail);
}

/** A titled box. Its `body` is what pages fill; `note` may change with the data. */
export function card(title, { note = "", width = "w12", actions = [] } = {}) {
  const noteElement = h("p", {}, note);
  const body = h("div", {}, h("div", { class: "skeleton", role: "status", "aria-label": `${title}: loading` }));
  const id = `card-${(card.count = (card.count ?? 0) + 1)}`;
  const element = h(
    "section", { class: `card ${width}`, "aria-labelledby": id },
    h("header", {}, h("h2", { id }, title), noteElement, ...actions), body,
  );
  return { element, body, set note(text) { noteElement.textContent = text; } };
}

export function figure(title) {
  const value = h("dd", { class: "value" }, "–");
  const note = h("dd", { class: "note" }, "");
  const element = h("dl", { class: "figure" }, h("dt", {}, title), value, note);
  return {
    element,
    show(text, ...notes) {
      value.textContent = text;
      replace(note, notes);
    },
  };
}

export function interval(row, { low, high, at, peers }) {
  if (row[at] === null || row[at] === undefined) return h("span", { class: "muted" }, "no known answers");
  const percent = (share) => `${(100 * Math.min(Math.max(share, 0), 1)).toFixed(2)}%`;
  const span = h("span", { class: "span" });
  span.style.left = percent(row[low]);
  span.style.width = percent(row[high] - row[low]);
  const point = h("span", { class: "point" });
  point.style.left = percent(row[at]);
  const track = h("span", { class: "track", "aria-hidden": "true" }, span, point);
  if (peers && row[peers]) {
    const mark = h("span", { class: "peers" });
    mark.style.left = percent(row[peers]);
    track.append(mark);
  }
  const isLow = peers && row[high] < row[peers];
  const text = `${(100 * row[at]).toFixed(1)} %`;
  const range = `${(100 * row[low]).toFixed(0)}–${(100 * row[high]).toFixed(0)}`;
  return h("span", { class: `interval${isLow ? " low" : ""}` }, track, h("span", {}, text, " ", h("span", { class: "muted" }, range)));
}
