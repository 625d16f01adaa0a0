/** All projects: what needs attention first, then how each is doing. */
import { rows } from "../api.js";
import { spark } from "../charts.js";
import { badge, card, empty, figure, h, interval, link, replace } from "../dom.js";
import { change, count, percent, short, signed, time } from "../format.js";
import { hoursOf } from "../state.js";
import { table } from "../table.js";
import { sentence, severityBadge } from "./attention.js";

const SHOWN = 6;
const COMPARABLE_MAX = 3;

export function build({ range, project }) {
  const hours = Math.min(hoursOf(range) ?? 720, 720);
  const labels = figure("Labels"), accuracy = figure("Accuracy"), people = figure("Changes detected"), refused = figure("Records refused");
  const attention = card("Needs attention", { note: "the most urgent first", actions: [link("/alerts", {}, "All alerts")] });
  const board = card("Projects", { note: `figures of the last ${hours} hours of each project's own clock` });
  const list = h("ul", { class: "attention" });
  const projects = table([
    { title: "Project", sort: (row) => row.project_id, cell: (row) => link("/project", { project: row.project_id }, row.project_id) },
    { title: "Labels", isNumber: true, sort: (row) => row.labels_now, cell: (row) => count(row.labels_now) },
    { title: "Over time", cell: (row) => spark(row.trend_labels, { label: `Labels of ${row.project_id} over time`, isBar: true, min: 0 }) },
    { title: "Accuracy", sort: (row) => row.accuracy_now, cell: (row) => interval(row, { at: "accuracy_now", low: "accuracy_now_low", high: "accuracy_now_high" }) },
    { title: "Over time", cell: (row) => row.accuracy_now === null ? "–" : spark(row.trend_accuracy, { label: `Accuracy of ${row.project_id} over time` }) },
    { title: "Against before", isNumber: true, sort: (row) => row.accuracy_before, cell: (row) => delta(row.accuracy_now, row.accuracy_before) },
    { title: "Known answers", isNumber: true, sort: (row) => row.gold_labels_now / Math.max(row.labels_now, 1), cell: (row) => percent(row.labels_now ? row.gold_labels_now / row.labels_now : null, 0) },
    { title: "Changes", sort: (row) => row.worse_now, cell: changes },
    { title: "Annotators", isNumber: true, sort: (row) => row.annotators, cell: (row) => count(row.annotators) },
    { title: "Last event", sort: (row) => row.last_at, cell: (row) => time(row.last_at) },
  ], { caption: "Projects", none: "No projects yet", sorted: { index: 1, isDown: true } });
  return {
    elements: [
      h("div", { class: "head" }, h("h1", {}, "What needs attention"), h("p", { class: "lead" }, `last ${hours} hours`)),
      h("div", { class: "figures" }, labels.element, accuracy.element, people.element, refused.element),
      attention.element, board.element,
    ],
    async load() {
      const [found, urgent] = await Promise.all([rows("overview", { hours, project }), rows("attention", { hours, project, limit: 500 })]);
      showFigures(found, urgent);
      const shown = urgent.slice(0, SHOWN);
      attention.note = urgent.length > SHOWN ? `${SHOWN} of ${urgent.length}, the most urgent first` : "the most urgent first";
      replace(list, shown.map((row) => h("li", {}, severityBadge(row.severity), sentence(row))));
      replace(attention.body, shown.length ? list : empty("All is well", "No annotator has got worse, nothing was refused."));
      if (!board.body.contains(projects.element)) replace(board.body, projects.element);
      projects.show(found);
    },
  };

  function showFigures(found, urgent) {
    const sum = (name) => found.reduce((total, row) => total + (row[name] ?? 0), 0);
    const now = sum("labels_now"), before = sum("labels_before"), judged = sum("gold_labels_now");
    const right = found.reduce((total, row) => total + (row.accuracy_now ?? 0) * row.gold_labels_now, 0);
    const rate = change(now, before);
    labels.show(short(now), rate === null || rate > COMPARABLE_MAX ? "hardly any time before to compare with" : [h("span", {}, signed(rate)), " against the time before"]);
    accuracy.show(judged ? percent(right / judged) : "–", `on ${short(judged)} labels with a known answer`);
    people.show(count(sum("worse_now")), `for the worse, ${count(sum("better_now"))} for the better`);
    const dead = urgent.filter((row) => row.kind === "dead_letters").reduce((total, row) => total + row.evidence, 0);
    refused.show(count(dead), link("/health", {}, "why, and which"));
  }
}

function delta(now, before) {
  if (now === null || before === null) return "–";
  const points = now - before;
  return h("span", { class: points < -0.005 ? "down" : points > 0.005 ? "up" : "muted" }, signed(points, "pt"));
}

function changes(row) {
  if (!row.worse_now && !row.better_now) return h("span", { class: "muted" }, "none");
  return h("span", { class: "badges" }, row.worse_now ? badge("worse", `▼ ${row.worse_now} worse`) : "", row.better_now ? badge("better", `▲ ${row.better_now} better`) : "");
}
