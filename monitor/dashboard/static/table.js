/** A table that can be sorted by its headers, filtered by text, and turned page by page. */
import { empty, h, replace } from "./dom.js";

const PAGE_ROWS = 25;

/**
 * columns: [{ title, cell(row) → node or text, sort?(row) → value, isNumber? }]
 * options: keepsDetails (what was opened stays as it is, though rows change), caption, search(row) → text, filter(row) → boolean, details(row) → promise of a node, none
 */
export function table(columns, { caption, search = null, details = null, none = "Nothing to show", key = JSON.stringify, sorted = null, pageRows = PAGE_ROWS, keepsDetails = false }) {
  let all = [], page = 0, order = sorted, text = "", filter = () => true;
  const opened = new Set(), kept = new Map();
  const head = h("tr");
  const body = h("tbody");
  const pager = h("div", { class: "pager" });
  const wrap = h(
    "div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": `${caption}: table` },
    h("table", {}, h("caption", { class: "visually-hidden" }, caption), h("thead", {}, head), body),
  );
  const controls = h("div", { class: "controls" });
  if (search) {
    const input = h("input", { type: "search", placeholder: "Filter …", "aria-label": `Filter ${caption.toLowerCase()}` });
    input.addEventListener("input", () => { text = input.value.trim().toLowerCase(); page = 0; draw(); });
    controls.append(input);
  }

  columns.forEach((column, index) => {
    const name = column.sort ? h("button", { type: "button", onclick: () => turn(index) }, column.title) : column.title;
    head.append(h("th", { scope: "col", class: column.isNumber ? "number" : "" }, name || h("span", { class: "visually-hidden" }, "Actions")));
  });

  function turn(index) {
    const isSame = order?.index === index;
    order = { index, isDown: isSame ? !order.isDown : Boolean(columns[index].isNumber) };
    page = 0;
    draw();
  }

  function chosen() {
    const fitting = all.filter((row) => filter(row) && (!text || search(row).toLowerCase().includes(text)));
    if (!order) return fitting;
    const value = columns[order.index].sort;
    const sign = order.isDown ? -1 : 1;
    const rank = (row) => { const found = value(row); return found === null || found === undefined || Number.isNaN(found) ? null : found; };
    return fitting.map((row) => [rank(row), row]).sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
    }).map(([, row]) => row);
  }

  function draw() {
    [...head.children].forEach((cell, index) => {
      if (order?.index === index) cell.setAttribute("aria-sort", order.isDown ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    const found = chosen();
    page = Math.min(page, Math.max(Math.ceil(found.length / pageRows) - 1, 0));
    const shown = found.slice(page * pageRows, (page + 1) * pageRows);
    replace(body, shown.length ? shown.flatMap(lines) : h("tr", {}, h("td", { colSpan: columns.length }, empty(all.length ? "Nothing fits the filter" : none))));
    const from = page * pageRows;
    replace(
      pager,
      h("span", { role: "status" }, found.length ? `${from + 1}–${from + shown.length} of ${found.length.toLocaleString("en")}${all.hasMore ? " (the first ones)" : ""}` : ""),
      found.length > pageRows && h("div", {},
        h("button", { type: "button", class: "quiet", disabled: page === 0, onclick: () => { page -= 1; draw(); } }, "Previous"),
        h("button", { type: "button", class: "quiet", disabled: from + shown.length >= found.length, onclick: () => { page += 1; draw(); } }, "Next")),
    );
  }

  function lines(row) {
    const cells = columns.map((column) => h("td", { class: column.isNumber ? "number" : "" }, column.cell(row) ?? "–"));
    const line = h("tr", {}, cells);
    if (!details) return [line];
    const name = key(row);
    const below = h("tr", { hidden: !opened.has(name) }, h("td", { colSpan: columns.length }));
    const toggle = h("button", { type: "button", class: "quiet", "aria-expanded": String(opened.has(name)) }, "Show");
    const open = async () => {
      if (!keepsDetails || !kept.has(name)) kept.set(name, await details(row));
      replace(below.firstChild, kept.get(name));
    };
    toggle.addEventListener("click", async () => {
      const isOpen = !opened.has(name);
      if (isOpen) opened.add(name); else opened.delete(name);
      toggle.setAttribute("aria-expanded", String(isOpen));
      toggle.textContent = isOpen ? "Hide" : "Show";
      below.hidden = !isOpen;
      if (isOpen) await open();
    });
    if (opened.has(name)) { toggle.textContent = "Hide"; open(); }
    cells.at(-1).replaceChildren(toggle);
    return [line, below];
  }

  return {
    element: h("div", {}, controls, wrap, pager),
    controls,
    show(rows) {
      if (JSON.stringify(rows) === JSON.stringify(all) && rows.length) return;
      if (keepsDetails && body.contains(document.activeElement) && document.activeElement.form) return; // somebody is typing
      all = rows;
      draw();
    },
    filterBy(next) { filter = next; page = 0; draw(); },
  };
}
