/** One project: trends, classes, confusion, how far its items have come. */
import { rows } from "../api.js";
import { bandChart, barChart, confusionChart, funnelChart, lineChart, shareChart } from "../charts.js";
import { card, empty, figure, h, interval, link, replace } from "../dom.js";
import { count, percent, seconds, short, time } from "../format.js";
import { linesBySlice, nameOf, slicePicker } from "../slices.js";
import { periodOf } from "../state.js";
import { table } from "../table.js";
import { accuracyLines, driftMarks, grouped, perBucket, questionsOf, total } from "./series.js";

const CELLS_MAX = 400;
const ITEMS_MIN = 10; // the agreement on fewer items says nothing

const sliceTable = () => table([
  { title: "Slice", sort: nameOf, cell: nameOf }, { title: "Question", sort: (row) => row.question_id, cell: (row) => row.question_id },
  { title: "Accuracy", sort: (row) => row.accuracy, cell: (row) => interval(row, { at: "accuracy", low: "accuracy_low", high: "accuracy_high" }) },
  { title: "Labels", isNumber: true, sort: (row) => row.labels, cell: (row) => count(row.labels) }, { title: "Judged", isNumber: true, sort: (row) => row.gold_labels, cell: (row) => count(row.gold_labels) },
  { title: "Mean time", isNumber: true, sort: (row) => row.duration_ms_mean, cell: (row) => seconds(row.duration_ms_mean) },
  { title: "Annotators", isNumber: true, sort: (row) => row.annotators, cell: (row) => count(row.annotators) }, { title: "Items", isNumber: true, sort: (row) => row.items, cell: (row) => count(row.items) },
  { title: "Agreement", isNumber: true, sort: (row) => row.alpha, cell: (row) => (typeof row.alpha === "number" ? row.alpha.toFixed(2) : "–") },
  { title: "Accepted at once", isNumber: true, sort: (row) => row.acceptance, cell: (row) => percent(row.acceptance ?? null) },
  { title: "Expected errors", isNumber: true, sort: (row) => row.errors, cell: (row) => (row.errors === undefined ? "–" : count(row.errors)) },
], { caption: "Slices", none: "Nothing in this period", sorted: { index: 2, isDown: false } });

const sliceClassTable = () => table([
  { title: "Slice", sort: nameOf, cell: nameOf }, { title: "Class", sort: (row) => row.label, cell: (row) => row.label },
  { title: "Share", isNumber: true, sort: (row) => row.class_share, cell: (row) => percent(row.class_share) }, { title: "Labels", isNumber: true, sort: (row) => row.labels, cell: (row) => count(row.labels) },
], { caption: "Classes by slice", none: "Nothing in this period", pageRows: 10 });

const sliceConfusionTable = () => table([
  { title: "Slice", sort: nameOf, cell: nameOf }, { title: "Known answer", sort: (row) => row.truth, cell: (row) => row.truth }, { title: "Answered", sort: (row) => row.label, cell: (row) => row.label },
  { title: "Share", isNumber: true, sort: (row) => row.share, cell: (row) => percent(row.share) }, { title: "Labels", isNumber: true, sort: (row) => row.labels, cell: (row) => count(row.labels) },
], { caption: "Confusions by slice", none: "No mistakes in this period", sorted: { index: 3, isDown: true }, pageRows: 10 });

const stepTable = () => table([
  { title: "Step", sort: (row) => row.step, cell: (row) => row.step }, { title: "Question", sort: (row) => row.question_id, cell: (row) => row.question_id },
  { title: "Done", isNumber: true, sort: (row) => row.done, cell: (row) => count(row.done) }, { title: "Skipped", isNumber: true, sort: (row) => row.skips, cell: (row) => count(row.skips) },
  { title: "Reworked", isNumber: true, sort: (row) => row.reworked, cell: (row) => count(row.reworked) },
  { title: "Accepted at once", isNumber: true, sort: (row) => row.acceptance, cell: (row) => percent(row.acceptance) },
  { title: "Mean time", isNumber: true, sort: (row) => row.duration_ms_mean, cell: (row) => seconds(row.duration_ms_mean) },
  { title: "Mean waiting", isNumber: true, sort: (row) => row.waiting_ms_mean, cell: (row) => waiting(row.waiting_ms_mean) },
], { caption: "Steps of the workflow" });

const reviewerTable = () => table([
  { title: "Reviewer", sort: (row) => row.reviewer_id, cell: (row) => row.reviewer_id }, { title: "Question", sort: (row) => row.question_id, cell: (row) => row.question_id },
  { title: "Agreement with known answers", sort: (row) => row.agreement, cell: (row) => interval(row, { at: "agreement", low: "agreement_low", high: "agreement_high" }) },
  { title: "Wrong labels let through", sort: (row) => row.leniency, cell: (row) => interval(row, { at: "leniency", low: "leniency_low", high: "leniency_high" }) },
  { title: "Reviews", isNumber: true, sort: (row) => row.reviews, cell: (row) => count(row.reviews) },
  { title: "Accepted", isNumber: true, sort: (row) => row.accepted / row.reviews, cell: (row) => percent(row.accepted / row.reviews, 0) },
], { caption: "Reviewers" });

const ALL_TIME = 10_000_000; // a bucket of so many seconds
const keyOf = (row) => JSON.stringify([row.question_id, row.slice_value]);

const expected = (row) => (row.confidence === null ? null : row.items * (1 - row.confidence));

const waiting = (ms) => (ms === null ? "–" : ms < 5_400_000 ? `${(ms / 60_000).toFixed(0)} min` : `${(ms / 3_600_000).toFixed(1)} h`);

export function build({ project, question, range, slice, projectRow, go }) {
  const period = periodOf(range, projectRow);
  const labels = figure("Labels"), accuracy = figure("Accuracy"), speed = figure("Time a label"), known = figure("Items with a known answer");
  const accuracyCard = card("Accuracy against known answers", { note: "bands: 95 % interval; dashed: a change detected in an annotator", width: "w8" });
  const funnelCard = card("How far the items have come", { width: "w4" });
  const throughputCard = card("Labels", { width: "w6" });
  const speedCard = card("Mean time a label", { width: "w6" });
  const classCard = card("Classes over time", { note: "share of labels", width: "w7" });
  const confusionCard = card("Which class is taken for which", { note: "share of the labels of each known answer", width: "w5" });
  const sliceCard = card(`By ${slice}`, { note: "labels of this period" });
  const sliceClassCard = card(`Classes by ${slice}`, { width: "w6" }), sliceConfusionCard = card(`What is taken for what, by ${slice}`, { note: "share of the labels of each known answer", width: "w6" });
  const agreementCard = card("Agreement of the annotators", { note: "Krippendorff's alpha, 95 % interval; 0.8 is reliable, 0.667 tentative", width: "w6" });
  const settledCard = card("How good the set is by now", { note: "items by what the consensus says of them", width: "w6" });
  const settledTable = table([
    { title: "Status", sort: (row) => row.status, cell: (row) => row.status.replace("_", " ") }, { title: "Question", sort: (row) => row.question_id, cell: (row) => row.question_id },
    { title: "Items", isNumber: true, sort: (row) => row.items, cell: (row) => count(row.items) }, { title: "Mean confidence", isNumber: true, sort: (row) => row.confidence, cell: (row) => percent(row.confidence) },
    { title: "Expected errors", isNumber: true, sort: (row) => expected(row), cell: (row) => count(expected(row)) },
  ], { caption: "Items by status", none: "The consensus has not been learnt yet" });
  agreementCard.element.hidden = settledCard.element.hidden = true;
  const stepCard = card("Steps of the workflow", { note: "in this period" });
  const reviewerCard = card("Reviewers", { note: "all time" });
  const bySlice = sliceTable(), classesBySlice = sliceClassTable(), confusionBySlice = sliceConfusionTable(), bySteps = stepTable(), byReviewer = reviewerTable();
  const picking = slicePicker({ project, slice, choose: (name) => go("/project", { slice: name }) });
  sliceCard.element.hidden = sliceClassCard.element.hidden = sliceConfusionCard.element.hidden = !slice;
  stepCard.element.hidden = reviewerCard.element.hidden = true;
  const charts = {
    accuracy: bandChart(`Accuracy of ${project} over time`), throughput: slice ? lineChart(`Labels of ${project} over time by ${slice}`, { format: count }) : barChart(`Labels of ${project} over time`),
    speed: lineChart(`Mean time a label of ${project} over time`, { format: seconds }), classes: shareChart(`Share of each class of ${project} over time`),
    agreement: bandChart(`Agreement of the annotators of ${project} over time`, { format: (value) => (value === null ? "–" : value.toFixed(2)), className: "" }),
    confusion: confusionChart(`Confusion of classes of ${project}`), funnel: funnelChart(`Items of ${project} by stage`),
  };
  const picker = h("select", { "aria-label": "Question" });
  picker.addEventListener("change", () => go("/project", { question: picker.value }));
  let chosen = question;
  return {
    elements: [
      h("div", { class: "head" }, h("h1", {}, project), h("div", { class: "controls" }, h("label", { class: "field" }, "Question", picker), picking.element, link("/annotators", { project }, "Annotators"), link("/items", { project }, "Items"))),
      h("div", { class: "figures" }, labels.element, accuracy.element, speed.element, known.element),
      h("div", { class: "grid" }, accuracyCard.element, funnelCard.element, sliceCard.element, sliceClassCard.element, sliceConfusionCard.element, throughputCard.element, speedCard.element, classCard.element, confusionCard.element, agreementCard.element, settledCard.element, stepCard.element, reviewerCard.element),
    ],
    async load() {
      const asked = { project, question, ...period, limit: 10_000 };
      const byQuestion = { project, question };
      const [trend, drifts, classes, confusion, coverage, workflow, sliced] = await Promise.all([
        rows("trend", asked), rows("drift", { ...byQuestion, since: period.since, limit: 200 }), rows("class-trend", asked),
        rows("project-confusion", { ...byQuestion, limit: 5000 }), rows("coverage", { project }), rows("workflow", byQuestion),
        slice ? showSlices({ ...asked, slice }) : null, picking.load(), showSteps({ ...byQuestion, since: period.since }), showAgreement(byQuestion, period.since),
      ]);
      const questions = questionsOf(coverage);
      if (picker.options.length !== questions.length + 1) replace(picker, h("option", { value: "" }, "all"), questions.map((value) => h("option", { value }, value)));
      picker.value = question;
      chosen = question || questions[0] || "";
      showFigures(trend, coverage.filter((row) => !question || row.question_id === question), workflow);
      showTrends(trend, drifts, sliced);
      showClasses(classes.filter((row) => row.question_id === chosen), questions.length > 1);
      showConfusion(confusion.filter((row) => row.question_id === chosen), questions.length > 1);
    },
  };

  async function showSlices(asked) {
    const { bucket_seconds, ...whole } = asked;
    const [board, trend, classes, confusion, agreement, reviews, settled] = await Promise.all([
      rows("slice-board", whole), rows("slice-trend", asked), rows("slice-classes", { ...whole, bucket_seconds: ALL_TIME }),
      ...["confusion", "agreement", "reviews", "settled"].map((name) => rows(`slice-${name}`, whole)),
    ]);
    const found = new Map(board.map((row) => [keyOf(row), row]));
    for (const one of [...agreement, ...reviews]) Object.assign(found.get(keyOf(one)) ?? {}, { alpha: one.alpha ?? found.get(keyOf(one))?.alpha, acceptance: one.acceptance ?? found.get(keyOf(one))?.acceptance });
    for (const one of settled) { const row = found.get(keyOf(one)); if (row) row.errors = (row.errors ?? 0) + (expected(one) ?? 0); }
    put(sliceCard, bySlice.element);
    bySlice.show(board);
    put(sliceClassCard, classesBySlice.element);
    classesBySlice.show(classes.filter((row) => !question || row.question_id === question));
    put(sliceConfusionCard, confusionBySlice.element);
    confusionBySlice.show(confusion.filter((row) => row.truth !== row.label));
    return trend;
  }

  async function showAgreement(asked, since) {
    const [windows, settled] = await Promise.all([rows("agreement-windows", { ...asked, since, limit: 10_000 }), rows("settled", asked)]);
    const found = windows.filter((row) => row.alpha !== null && row.items >= ITEMS_MIN);
    agreementCard.element.hidden = !found.length;
    settledCard.element.hidden = !settled.length;
    put(settledCard, settledTable.element);
    settledTable.show(settled);
    if (!found.length) return;
    put(agreementCard, charts.agreement.element);
    charts.agreement.draw({ reference: { value: 0.8, text: "reliable" }, lines: grouped(found, (row) => row.question_id).map(([name, of]) => ({
      name, points: of.map((row) => ({ at: row.window_start, value: row.alpha, low: row.alpha_low, high: row.alpha_high, note: `${row.items} items` })),
    })) });
  }

  async function showSteps(asked) {
    const [steps, reviewers] = await Promise.all([rows("step-trend", { ...asked, bucket_seconds: ALL_TIME }), rows("reviewers", { project, question })]);
    stepCard.element.hidden = !steps.length;
    reviewerCard.element.hidden = !reviewers.length;
    put(stepCard, bySteps.element);
    bySteps.show(steps);
    put(reviewerCard, byReviewer.element);
    byReviewer.show(reviewers);
  }

  function put(box, element) {
    if (!box.body.contains(element)) replace(box.body, element);
  }

  function showFigures(trend, coverage, workflow) {
    const judged = total(trend, "gold_labels"), right = total(trend, "gold_correct"), given = total(trend, "labels");
    labels.show(short(given), `in this period; ${short(projectRow?.labels)} in all`);
    accuracy.show(judged ? percent(right / judged) : "–", judged ? `on ${short(judged)} labels with a known answer` : "no known answers in this period");
    const timed = trend.filter((row) => row.duration_ms_mean !== null);
    speed.show(seconds(timed.length ? timed.reduce((sum, row) => sum + row.duration_ms_mean * row.labels, 0) / Math.max(total(timed, "labels"), 1) : null), "on average");
    const items = total(coverage, "items_labelled"), answered = total(coverage, "items_known");
    known.show(percent(items ? answered / items : null), `${count(answered)} known, ${count(items)} labelled`);
    put(funnelCard, charts.funnel.element);
    charts.funnel.draw({ stages: [
      { name: "labelled", value: items }, { name: "by two or more", value: total(coverage, "items_repeated") },
      { name: "with a majority", value: total(coverage, "items_agreed") }, { name: "unanimous", value: total(coverage, "items_unanimous") },
      ...["reviewed", "adjudicated", "finished"].map((name) => ({ name, value: total(workflow, `items_${name}`) })).filter((stage) => stage.value),
      { name: "answer known", value: Math.min(answered, items) },
    ] });
  }

  function showTrends(trend, drifts, sliced) {
    if (!trend.length) {
      for (const box of [accuracyCard, throughputCard, speedCard]) replace(box.body, empty("Nothing in this period", "Choose a longer one above."));
      return;
    }
    put(throughputCard, charts.throughput.element);
    charts.throughput.draw(sliced ? { lines: linesBySlice(sliced, "labels") } : { points: perBucket(trend, (of) => total(of, "labels")) });
    if (trend.some((row) => row.accuracy !== null)) {
      put(accuracyCard, charts.accuracy.element);
      charts.accuracy.draw({ lines: sliced ? accuracyLines(sliced, nameOf).slice(0, 10) : accuracyLines(trend), marks: driftMarks(drifts) });
      const worse = drifts.filter((row) => row.direction === "worse").length;
      charts.accuracy.describe(`Accuracy of ${project} over time; ${worse} changes for the worse, ${drifts.length - worse} for the better`);
    } else replace(accuracyCard.body, empty("No known answers in this period", "Accuracy needs items whose answer is known."));
    const timed = trend.filter((row) => row.duration_ms_mean !== null);
    if (timed.length) {
      put(speedCard, charts.speed.element);
      charts.speed.draw({ lines: sliced ? linesBySlice(sliced, "duration_ms_mean") : grouped(timed, (row) => row.question_id).map(([name, of]) => ({ name, points: of.map((row) => ({ at: row.bucket_start, value: row.duration_ms_mean })) })) });
    } else replace(speedCard.body, empty("No durations", "The annotation tool does not say how long a label took."));
  }

  function showClasses(found, isOneOfSeveral) {
    classCard.note = isOneOfSeveral ? `share of labels, question ${chosen}` : "share of labels";
    if (!found.length) return replace(classCard.body, empty("Nothing in this period"));
    put(classCard, charts.classes.element);
    const buckets = [...new Set(found.map((row) => row.bucket_start))].sort();
    charts.classes.draw({ classes: grouped(found, (row) => row.label).sort(([a], [b]) => a.localeCompare(b)).map(([name, of]) => {
      const shares = new Map(of.map((row) => [row.bucket_start, row.class_share]));
      return { name, points: buckets.map((at) => ({ at, share: shares.get(at) ?? 0 })) };
    }) });
  }

  function showConfusion(cells, isOneOfSeveral) {
    confusionCard.note = `share of the labels of each known answer${isOneOfSeveral ? `, question ${chosen}` : ""}`;
    if (!cells.length) return replace(confusionCard.body, empty("No known answers", "This needs items whose answer is known."));
    if (cells.length > CELLS_MAX) return replace(confusionCard.body, empty("Too many classes to draw", "/api/v1/queries/project-confusion has all of them."));
    put(confusionCard, charts.confusion.element);
    charts.confusion.draw({ cells });
    const worst = cells.filter((cell) => cell.truth !== cell.label).sort((a, b) => b.share - a.share)[0];
    if (worst) charts.confusion.describe(`Confusion of classes; most often ${worst.truth} is taken for ${worst.label}: ${percent(worst.share)}`);
  }
}
