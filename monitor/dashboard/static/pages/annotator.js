/** One annotator: accuracy over time with changes, confusion, speed, and the labels it all rests on. */
import { rows } from "../api.js";
import { bandChart, barChart, confusionChart, lineChart } from "../charts.js";
import { badge, card, empty, figure, h, link, replace } from "../dom.js";
import { count, percent, seconds, time } from "../format.js";
import { linesBySlice, nameOf, slicePicker } from "../slices.js";
import { periodOf } from "../state.js";
import { table } from "../table.js";
import { flagBadges } from "./annotators.js";
import { accuracyLines, grouped, perBucket, total } from "./series.js";

export function build({ project, question, annotator, range, slice, projectRow, go }) {
  const picking = slicePicker({ project, slice, choose: (name) => go("/annotator", { slice: name }) });
  const period = periodOf(range, projectRow);
  const accuracy = figure("Accuracy, all time"), recent = figure("Since the last change"), speed = figure("Median time a label"), labels = figure("Labels");
  const flags = h("span", { class: "badges" });
  const accuracyCard = card("Accuracy against known answers", { note: "band: 95 % interval; dotted: the question's annotators together", width: "w8" });
  const confusionCard = card("Which class is taken for which", { width: "w4" });
  const labelsCard = card("Labels", { width: "w6" }), speedCard = card("Mean time a label", { width: "w6" });
  const evidenceCard = card("Evidence", { note: "labels against known answers, the latest mistakes first" });
  const changesCard = card("Changes detected");
  const charts = {
    accuracy: bandChart(`Accuracy of ${annotator} over time`, { min: 0, max: 1 }), confusion: confusionChart(`Confusion of classes by ${annotator}`),
    labels: slice ? lineChart(`Labels of ${annotator} over time by ${slice}`, { format: count }) : barChart(`Labels of ${annotator} over time`), speed: lineChart(`Mean time a label of ${annotator} over time`),
  };
  const evidence = table([
    { title: "Answered", sort: (row) => row.label, cell: (row) => row.label },
    { title: "Known answer", sort: (row) => row.truth, cell: (row) => row.truth },
    { title: "Credit", isNumber: true, sort: (row) => row.score, cell: (row) => badge(row.score >= 1 ? "good" : "worse", row.score >= 1 ? "✓ right" : row.score > 0 ? percent(row.score, 0) : "✗ wrong") },
    { title: "Item", sort: (row) => row.item_id, cell: (row) => link("/items", { project, question: row.question_id, item: row.item_id }, row.item_id) },
    { title: "Question", sort: (row) => row.question_id, cell: (row) => row.question_id },
    { title: "Time", isNumber: true, sort: (row) => row.duration_ms, cell: (row) => seconds(row.duration_ms) },
    { title: "When", sort: (row) => row.occurred_at, cell: (row) => time(row.occurred_at) },
  ], { caption: "Evidence", search: (row) => `${row.label} ${row.truth} ${row.item_id}`, none: "No label with a known answer in this period", pageRows: 15 });
  const changes = table([
    { title: "Detected", sort: (row) => row.detected_at, cell: (row) => time(row.detected_at) },
    { title: "Changed about", sort: (row) => row.changed_at, cell: (row) => time(row.changed_at) },
    { title: "What", cell: (row) => `${row.signal}, ${row.question_id}` },
    { title: "Direction", cell: (row) => badge(row.direction, row.direction === "worse" ? "▼ worse" : "▲ better") },
    { title: "Before", isNumber: true, cell: (row) => percent(row.before) }, { title: "After", isNumber: true, cell: (row) => percent(row.after) },
    { title: "Judgements after", isNumber: true, cell: (row) => count(row.judgements_after) },
  ], { caption: "Changes detected", none: "No change has been detected" });
  return {
    elements: [
      h("div", { class: "head" }, h("h1", {}, annotator, " ", flags), h("p", { class: "lead" }, link("/annotators", { project }, `all annotators of ${project}`), question ? ` · question ${question}` : ""), h("div", { class: "controls" }, picking.element)),
      h("div", { class: "figures" }, accuracy.element, recent.element, speed.element, labels.element),
      h("div", { class: "grid" }, accuracyCard.element, confusionCard.element, labelsCard.element, speedCard.element, changesCard.element, evidenceCard.element),
    ],
    async load() {
      const whom = { project, question, annotator };
      const [board, trend, drifts, confusion, found, sliced] = await Promise.all([
        rows("annotator-board", whom), rows("annotator-trend", { ...whom, ...period, limit: 10_000 }), rows("drift", { ...whom, limit: 200 }),
        rows("confusion", { ...whom, limit: 5000 }), rows("evidence", { ...whom, since: period.since, limit: 500 }),
        slice ? rows("slice-trend", { ...whom, ...period, slice, limit: 10_000 }) : null, picking.load(),
      ]);
      if (!board.length) throw Object.assign(new Error(`Nobody called ${annotator} has labelled anything in ${project}.`), { status: 404, name: "ApiError" });
      showFigures(board);
      showTrends(board, trend, drifts, sliced);
      showConfusion(confusion);
      for (const [box, one, data] of [[changesCard, changes, drifts], [evidenceCard, evidence, found]]) {
        if (!box.body.contains(one.element)) replace(box.body, one.element);
        one.show(data);
      }
    },
  };

  function showFigures(board) {
    const [first] = board;
    const range = (row, low, high) => row[low] === null ? "no known answers yet" : `${percent(row[low])} to ${percent(row[high])}; ${row.question_id}${board.length > 1 ? `, ${board.length} questions in all` : ""}`;
    replace(flags, flagBadges([...new Set(board.flatMap((row) => row.flags))]));
    accuracy.show(percent(first.accuracy), range(first, "accuracy_low", "accuracy_high"));
    recent.show(percent(first.accuracy_adaptive), range(first, "adaptive_low", "adaptive_high"));
    speed.show(seconds(first.duration_ms_p50), first.duration_ms_p90 === null ? "no durations" : `nine of ten below ${seconds(first.duration_ms_p90)}`);
    labels.show(count(total(board, "labels")), `${count(total(board, "gold_labels"))} with a known answer, the last ${time(first.last_at)}`);
  }

  function showTrends(board, trend, drifts, sliced) {
    const put = (box, element) => box.body.contains(element) || replace(box.body, element);
    if (!trend.length) {
      for (const box of [accuracyCard, labelsCard, speedCard]) replace(box.body, empty("Nothing in this period", "Choose a longer one above."));
      return;
    }
    put(accuracyCard, charts.accuracy.element);
    const marks = drifts.map((row) => ({ at: row.changed_at ?? row.detected_at, text: row.direction, isWorse: row.direction === "worse" }));
    const reference = board.length === 1 && board[0].peers_accuracy ? { value: board[0].peers_accuracy, text: "all annotators" } : null;
    charts.accuracy.draw({ lines: sliced ? accuracyLines(sliced, nameOf).slice(0, 10) : accuracyLines(trend), marks, reference });
    put(labelsCard, charts.labels.element);
    charts.labels.draw(sliced ? { lines: linesBySlice(sliced, "labels") } : { points: perBucket(trend, (of) => total(of, "labels")) });
    put(speedCard, charts.speed.element);
    charts.speed.draw({ lines: sliced ? linesBySlice(sliced, "duration_ms_mean") : grouped(trend, (row) => row.question_id).map(([name, of]) => ({ name, points: of.map((row) => ({ at: row.bucket_start, value: row.duration_ms_mean })) })) });
  }

  function showConfusion(cells) {
    const first = cells[0]?.question_id;
    const shown = cells.filter((cell) => cell.question_id === (question || first));
    confusionCard.note = shown.length ? `question ${question || first}` : "";
    if (!shown.length) return replace(confusionCard.body, empty("No known answers"));
    if (!confusionCard.body.contains(charts.confusion.element)) replace(confusionCard.body, charts.confusion.element);
    charts.confusion.draw({ cells: shown });
  }
}
