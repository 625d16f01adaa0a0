/** What somebody should look at, in words. Used by the overview and the alerts. */
import { badge, h, link } from "../dom.js";
import { count, percent, time } from "../format.js";

const SEVERITIES = { critical: "● critical", error: "● error", warning: "▲ warning", info: "■ info" };

export function severityBadge(severity) {
  return badge(severity === "error" ? "critical" : severity, SEVERITIES[severity] ?? severity);
}

function who(row) {
  const place = `${row.project_id}${row.question_id ? ` · ${row.question_id}` : ""}`;
  if (!row.annotator_id) return [link("/project", { project: row.project_id }, place)];
  return [link("/annotator", { project: row.project_id, question: row.question_id, annotator: row.annotator_id }, row.annotator_id), ` in ${place}`];
}

const SENTENCES = {
  worse: (row) => [" became less accurate: ", h("strong", {}, `${percent(row.reference, 0)} → ${percent(row.value, 0)}`), ` over ${count(row.evidence)} judgements`],
  below: (row) => [" is surely less accurate than the others: ", h("strong", {}, `${percent(row.value, 0)} against ${percent(row.reference, 0)}`), ` over ${count(row.evidence)} judgements`],
  unordered: () => [" was seen on several partitions, so the order of its events is not certain"],
  no_gold: (row) => [` has ${count(row.evidence)} labels and no known answer: nothing can be said of accuracy`],
  dead_letters: (row) => [h("strong", {}, count(row.evidence)), row.project_id ? " of its records were refused" : " records were refused that name no project"],
};

export function sentence(row) {
  if (row.summary) return h("p", {}, who(row), `: ${row.summary}`, h("small", {}, ` · ${time(row.fired_at)}${row.action ? ` · recommended: ${row.action}` : ""}`));
  const begin = row.project_id ? who(row) : [];
  const seen = row.kind === "worse" ? h("small", {}, ` · ${time(row.seen_at)}`) : null;
  return h("p", {}, begin, (SENTENCES[row.kind] ?? (() => [` ${row.kind}`]))(row), seen);
}

export function identity(row) {
  if (row.alert_id) return row.alert_id;
  return [row.kind, row.project_id, row.question_id, row.annotator_id, row.kind === "worse" ? row.seen_at : ""].join("/");
}
