/** Items worth another look, and who said what about each. */
import { rows } from "../api.js";
import { badge, card, empty, h, link, replace } from "../dom.js";
import { count, percent, seconds, time } from "../format.js";
import { table } from "../table.js";

const VIEWS = {
  "undecided-items": ["Not settled", "the consensus of the annotators is not sure enough"],
  "uncertain-items": ["Most uncertain", "no known answer, and the votes say least"],
  "disputed-items": ["Most disputed", "several annotators contradict one another"],
};

const doubt = (row) => row.doubt ?? (row.confidence === undefined || row.confidence === null ? null : 1 - row.confidence);

async function whoSaidWhat(row, project) {
  const [labels, people] = await Promise.all([
    rows("labels", { project, question: row.question_id, item: row.item_id, limit: 100 }),
    rows("annotators", { project, question: row.question_id, limit: 10_000 }),
  ]);
  if (!labels.length) return empty("No labels in force");
  const accuracy = new Map(people.map((one) => [one.annotator_id, one]));
  return h("table", {}, h("caption", { class: "visually-hidden" }, `Who said what about ${row.item_id}`),
    h("thead", {}, h("tr", {}, ["Annotator", "Answer", "Accuracy of the annotator", "Time", "When"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, labels.map((label) => h("tr", {},
      h("td", {}, link("/annotator", { project, question: row.question_id, annotator: label.annotator_id }, label.annotator_id)),
      h("td", {}, h("strong", {}, label.label), " ", label.score === null ? "" : badge(label.score >= 1 ? "good" : "worse", label.score >= 1 ? "✓ right" : "✗ wrong")),
      h("td", {}, percent(accuracy.get(label.annotator_id)?.accuracy ?? null)), h("td", {}, seconds(label.duration_ms)), h("td", {}, time(label.occurred_at))))));
}

export function build({ project, question, item }) {
  const box = card(item ? `Item ${item}` : "Items", { note: "who said what is behind each Show" });
  let view = item ? "items" : "undecided-items";
  let isChosen = false;
  const list = table([
    { title: "Item", sort: (row) => row.item_id, cell: (row) => h("span", { class: "mono" }, row.item_id) },
    { title: "Question", sort: (row) => row.question_id, cell: (row) => row.question_id },
    { title: "Leading answer", sort: (row) => row.top_label ?? row.consensus, cell: (row) => row.top_label ?? row.consensus ?? "–" },
    { title: "Share of votes", isNumber: true, sort: (row) => row.top_share ?? null, cell: (row) => percent(row.top_share, 0) },
    { title: "Doubt", isNumber: true, sort: doubt, cell: (row) => percent(doubt(row), 0) },
    { title: "Status", sort: (row) => row.status ?? "", cell: (row) => (row.status ? badge(row.status === "escalate" ? "warning" : "", row.status.replace("_", " ")) : "–") },
    { title: "Labels", isNumber: true, sort: (row) => row.labels, cell: (row) => count(row.labels) },
    { title: "People", isNumber: true, sort: (row) => row.annotators, cell: (row) => count(row.annotators) },
    { title: "Known answer", sort: (row) => row.truth, cell: (row) => row.truth ?? "–" },
    { title: "Last label", sort: (row) => row.last_at ?? "", cell: (row) => time(row.last_at) },
    { title: "", cell: () => "" },
  ], { caption: "Items", search: (row) => `${row.item_id} ${row.question_id} ${row.top_label}`, details: (row) => whoSaidWhat(row, project), key: (row) => `${row.question_id}/${row.item_id}`, none: "No item is in doubt" });
  const buttons = Object.entries(VIEWS).map(([name, [title, meaning]]) => {
    const button = h("button", { type: "button", class: "quiet", "aria-pressed": String(name === view), title: meaning }, title);
    button.addEventListener("click", () => { isChosen = true; turn(name); return load(); });
    return button;
  });
  if (!item) list.controls.prepend(...buttons);
  const turn = (name) => {
    view = name;
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(Object.keys(VIEWS)[index] === name)));
  };
  async function load() {
    let found = await rows(view, { project, question, item, limit: item ? 50 : 500 });
    if (!found.length && !isChosen && view === "undecided-items") {
      turn("uncertain-items");
      found = await rows(view, { project, question, limit: 500 });
    }
    if (!box.body.contains(list.element)) replace(box.body, list.element);
    list.show(found);
  }
  return {
    elements: [h("div", { class: "head" }, h("h1", {}, `Items of ${project}`), h("p", { class: "lead" }, item ? link("/items", { project }, "all items in doubt") : "those on which another look tells most, first")), box.element],
    load,
  };
}
