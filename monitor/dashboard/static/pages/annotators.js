/** The annotators of a project, for sorting, filtering and choosing. */
import { rows } from "../api.js";
import { spark } from "../charts.js";
import { badge, card, h, interval, link, replace } from "../dom.js";
import { count, seconds, time } from "../format.js";
import { nameOf, slicePicker } from "../slices.js";
import { hoursOf, periodOf } from "../state.js";
import { table } from "../table.js";

export const FLAGS = {
  worse: ["▼ got worse", "the latest change detected was for the worse"], below: ["below the others", "surely less accurate than the question's annotators together"],
  hurried: ["hurried", "a median time below a third of the median annotator's"], unproven: ["unproven", "too few known answers to tell"],
};

export const flagBadges = (flags) => flags.map((flag) => { const one = badge(flag, FLAGS[flag]?.[0] ?? flag); one.title = FLAGS[flag]?.[1] ?? ""; return one; });

const sliceTable = (project, slice) => table([
  { title: "Annotator", sort: (row) => row.annotator_id, cell: (row) => link("/annotator", { project, question: row.question_id, annotator: row.annotator_id }, row.annotator_id) },
  { title: "Question", sort: (row) => row.question_id, cell: (row) => row.question_id }, { title: slice, sort: nameOf, cell: nameOf },
  { title: "Accuracy", sort: (row) => row.accuracy, cell: (row) => interval(row, { at: "accuracy", low: "accuracy_low", high: "accuracy_high" }) },
  { title: "Labels", isNumber: true, sort: (row) => row.labels, cell: (row) => count(row.labels) }, { title: "Judged", isNumber: true, sort: (row) => row.gold_labels, cell: (row) => count(row.gold_labels) },
  { title: "Mean time", isNumber: true, sort: (row) => row.duration_ms_mean, cell: (row) => seconds(row.duration_ms_mean) },
], { caption: `Annotators by ${slice}`, search: (row) => `${row.annotator_id} ${row.question_id} ${row.slice_value}`, sorted: { index: 3, isDown: false }, none: "Nothing in this period" });

export function build({ project, question, range, slice, projectRow, go }) {
  const hours = hoursOf(range) ?? 720;
  const box = card("Annotators", { note: "the mark in each bar is the question's annotators together" });
  const people = table([
    { title: "Annotator", sort: (row) => row.annotator_id, cell: (row) => link("/annotator", { project, question: row.question_id, annotator: row.annotator_id }, row.annotator_id) },
    { title: "Question", sort: (row) => row.question_id, cell: (row) => row.question_id },
    { title: "Accuracy", sort: (row) => row.accuracy, cell: (row) => interval(row, { at: "accuracy", low: "accuracy_low", high: "accuracy_high", peers: "peers_accuracy" }) },
    { title: "Since the last change", sort: (row) => row.accuracy_adaptive, cell: (row) => interval(row, { at: "accuracy_adaptive", low: "adaptive_low", high: "adaptive_high", peers: "peers_accuracy" }) },
    { title: "Over time", cell: (row) => row.trend_accuracy.some((value) => value !== null) ? spark(row.trend_accuracy, { label: `Accuracy of ${row.annotator_id} over time`, min: 0, max: 1 }) : "–" },
    { title: "Flags", sort: (row) => row.flags.length, cell: (row) => row.flags.length ? h("span", { class: "badges" }, flagBadges(row.flags)) : "" },
    { title: "Labels", isNumber: true, sort: (row) => row.labels, cell: (row) => count(row.labels) },
    { title: "Judged", isNumber: true, sort: (row) => row.gold_labels, cell: (row) => count(row.gold_labels) },
    { title: "Median time", isNumber: true, sort: (row) => row.duration_ms_p50, cell: (row) => seconds(row.duration_ms_p50) },
    { title: "Last label", sort: (row) => row.last_at, cell: (row) => time(row.last_at) },
  ], { caption: "Annotators", search: (row) => `${row.annotator_id} ${row.question_id} ${row.flags.join(" ")}`, sorted: { index: 3, isDown: false }, none: "Nobody has labelled anything here yet" });
  const buttons = Object.entries(FLAGS).map(([flag, [text, meaning]]) => {
    const button = h("button", { type: "button", class: "quiet", "aria-pressed": "false", title: meaning }, text);
    button.addEventListener("click", () => {
      const isOn = button.getAttribute("aria-pressed") !== "true";
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button && isOn));
      people.filterBy(isOn ? (row) => row.flags.includes(flag) : () => true);
    });
    return button;
  });
  people.controls.append(...buttons);
  const sliceBox = card(`By ${slice}`, { note: "labels of this period" });
  const bySlice = sliceTable(project, slice || "slice");
  sliceBox.element.hidden = !slice;
  const picking = slicePicker({ project, slice, choose: (name) => go("/annotators", { slice: name }) });
  return {
    elements: [h("div", { class: "head" }, h("h1", {}, `Annotators of ${project}`), h("div", { class: "controls" }, picking.element, h("p", { class: "lead" }, "the lowest accuracy first; click a column to sort"))), sliceBox.element, box.element],
    async load() {
      const found = await rows("annotator-board", { project, question, hours: Math.min(hours, 720), limit: 10_000 });
      if (!box.body.contains(people.element)) replace(box.body, people.element);
      people.show(found);
      await picking.load();
      if (!slice) return;
      const { since } = periodOf(range, projectRow);
      const sliced = await rows("slice-annotators", { project, question, slice, since, limit: 5000 });
      if (!sliceBox.body.contains(bySlice.element)) replace(sliceBox.body, bySlice.element);
      bySlice.show(sliced);
    },
  };
}
