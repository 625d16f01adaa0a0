/** Splitting by an attribute: the choice of one, and names for what it says. */
import { rows } from "./api.js";
import { h, replace } from "./dom.js";

export const nameOf = (row) => row.slice_value || "(not given)";

const LINES_MAX = 10;

/** A column of a trend by slice as lines over time, those with the most labels; questions are put together. */
export function linesBySlice(trend, column) {
  const lines = new Map();
  for (const row of trend) {
    const name = nameOf(row);
    if (!lines.has(name)) lines.set(name, { name, labels: 0, points: new Map() });
    const line = lines.get(name), point = line.points.get(row.bucket_start) ?? { at: row.bucket_start, labels: 0, sum: 0 };
    line.labels += row.labels;
    if (row[column] !== null) { point.labels += row.labels; point.sum += column === "labels" ? row.labels : row[column] * row.labels; }
    line.points.set(row.bucket_start, point);
  }
  const value = (point) => (column === "labels" ? point.sum : point.labels ? point.sum / point.labels : null);
  return [...lines.values()].sort((a, b) => b.labels - a.labels).slice(0, LINES_MAX).sort((a, b) => a.name.localeCompare(b.name))
    .map(({ name, points }) => ({ name, points: [...points.values()].sort((a, b) => (a.at < b.at ? -1 : 1)).map((point) => ({ at: point.at, value: value(point) })) }));
}

/** A select of the attributes that a project's labels carry; hidden while there are none. */
export function slicePicker({ project, slice, choose }) {
  const select = h("select", { "aria-label": "Split by" });
  select.addEventListener("change", () => choose(select.value));
  const element = h("label", { class: "field", hidden: true }, "Split by", select);
  return {
    element,
    async load() {
      const names = (await rows("slice-names", { project })).map((row) => row.slice);
      element.hidden = !names.length && !slice;
      const all = slice && !names.includes(slice) ? [...names, slice] : names;
      if (select.options.length !== all.length + 1) replace(select, h("option", { value: "" }, "nothing"), all.map((name) => h("option", { value: name }, name)));
      select.value = slice;
    },
  };
}
