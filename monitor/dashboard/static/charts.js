/** Charts, all by ECharts: built from rows, redrawn when the theme or the size of their box changes. */
import * as echarts from "./vendor/echarts.esm.min.mjs";
import { h } from "./dom.js";
import { count, percent, seconds, time } from "./format.js";

const SERIES = {
  light: ["#3050c8", "#c2620e", "#0d7a5f", "#9b3aa6", "#0078a0", "#8a6d00", "#b3261e", "#546073", "#6a4bd1", "#3d7a1f"],
  dark: ["#9bb1ff", "#f0a35e", "#5fd0ad", "#dc93e6", "#66c6ea", "#dcc05c", "#ff9188", "#a3b1c4", "#bda8ff", "#9bd177"],
};
const MARKS_NAMED_MAX = 8;
const live = new Set();

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  const isDark = document.documentElement.dataset.theme === "dark";
  return {
    ink: of("ink"), muted: of("muted"), line: of("line"), surface: of("surface"), sunken: of("sunken"), accent: of("accent"),
    good: of("good"), bad: of("bad"), series: SERIES[isDark ? "dark" : "light"],
  };
}

/** A chart in a box: `draw(data)` builds it anew from `option(data, colours)`. */
function chart(option, { className = "", label = "", isQuiet = false } = {}) {
  const element = h("div", { class: `chart ${className}`, role: "img", "aria-label": label });
  let instance = null, data = null;
  const self = {
    element,
    draw(next) {
      data = next;
      if (!element.isConnected || !element.clientWidth) {
        requestAnimationFrame(() => element.isConnected && data === next && self.redraw());
        return;
      }
      self.redraw();
    },
    redraw() {
      if (data === null) return;
      instance ??= echarts.init(element, null, { renderer: "canvas" });
      live.add(self);
      instance.setOption({ animation: !isQuiet && !matchMedia("(prefers-reduced-motion: reduce)").matches, animationDuration: 250, ...option(data, colours()) }, { notMerge: true });
    },
    resize() { instance?.resize(); },
    dispose() { instance?.dispose(); instance = null; live.delete(self); },
    describe(text) { element.setAttribute("aria-label", text); },
  };
  return self;
}

/** Frees charts whose boxes are gone. */
export function sweep() {
  for (const one of live) if (!one.element.isConnected) one.dispose();
}

let resizing = 0;
addEventListener("resize", () => { cancelAnimationFrame(resizing); resizing = requestAnimationFrame(() => live.forEach((one) => one.resize())); });
export function redrawAll() { sweep(); live.forEach((one) => one.redraw()); }

const grid = { left: 8, right: 14, top: 34, bottom: 6, containLabel: true };
const timeAxis = (c) => ({
  type: "time", axisLine: { lineStyle: { color: c.line } }, axisTick: { show: false }, splitLine: { show: false },
  axisLabel: { color: c.muted, hideOverlap: true, formatter: { year: "{yyyy}", month: "{MMM}", day: "{d} {MMM}", hour: "{HH}:{mm}", minute: "{HH}:{mm}" } },
});
const valueAxis = (c, format, more = {}) => ({
  type: "value", axisLabel: { color: c.muted, formatter: format }, splitLine: { lineStyle: { color: c.line } }, splitNumber: 4, ...more,
});
const legend = (c, more = {}) => ({ type: "scroll", top: 0, bottom: "auto", left: 0, icon: "roundRect", itemWidth: 12, itemHeight: 8, textStyle: { color: c.ink }, pageTextStyle: { color: c.muted }, pageIconColor: c.accent, ...more });

function tooltip(c, lines, trigger = "axis") {
  return {
    trigger, backgroundColor: c.surface, borderColor: c.line, textStyle: { color: c.ink }, confine: true, axisPointer: { lineStyle: { color: c.muted } },
    formatter: (points) => {
      const texts = lines(Array.isArray(points) ? points : [points]).filter(Boolean);
      return h("div", {}, texts.map((text, index) => h("div", { class: index ? "" : "muted" }, text)));
    },
  };
}

/** Lines with their intervals as bands, and marks: [{ name, points: [{ at, value, low, high, note }] }], marks: [{ at, text, isWorse }]. */
export function bandChart(label, { format = percent, className = "tall", min = null, max = null } = {}) {
  return chart(({ lines, marks = [], reference = null }, c) => {
    const series = [];
    lines.forEach(({ name, points, hasBand = true }, index) => {
      const colour = c.series[index % c.series.length];
      if (hasBand) {
        const common = { type: "line", stack: `band ${name}`, symbol: "none", lineStyle: { opacity: 0 }, silent: true, tooltip: { show: false }, stackStrategy: "all", z: 1 };
        series.push({ ...common, name: `${name} low`, data: points.map((p) => [p.at, p.low]) });
        series.push({ ...common, name: `${name} band`, areaStyle: { color: colour, opacity: 0.16 }, data: points.map((p) => [p.at, p.high === null || p.low === null ? null : p.high - p.low]) });
      }
      const line = { type: "line", name, data: points.map((p) => [p.at, p.value]), showSymbol: points.length < 40, symbolSize: 5, lineStyle: { width: 2, color: colour }, itemStyle: { color: colour }, connectNulls: false, z: 3 };
      if (index === 0) {
        const drifts = marks.map((mark) => ({ xAxis: mark.at, label: { show: marks.length <= MARKS_NAMED_MAX, formatter: mark.text, color: mark.isWorse ? c.bad : c.good }, lineStyle: { color: mark.isWorse ? c.bad : c.good, type: "dashed", width: 1.5 } }));
        const levels = reference === null ? [] : [{ yAxis: reference.value, label: { formatter: reference.text, position: "insideEndTop", color: c.muted }, lineStyle: { color: c.muted, type: "dotted" } }];
        line.markLine = { symbol: "none", data: [...drifts, ...levels], label: { position: "end", rotate: 0, distance: 3, fontSize: 11 }, animation: false };
      }
      series.push(line);
    });
    const notes = new Map(lines.flatMap(({ name, points }) => points.map((p) => [`${name} ${Date.parse(p.at)}`, p])));
    return {
      grid: { ...grid, top: (lines.length > 1 ? 34 : 10) + (marks.length ? 14 : 0) }, xAxis: timeAxis(c), yAxis: valueAxis(c, (value) => format(value, 0), { scale: true, min, max }), series,
      legend: lines.length > 1 ? legend(c, { data: lines.map((line) => line.name) }) : { show: false },
      tooltip: tooltip(c, (points) => {
        const shown = points.filter((p) => notes.has(`${p.seriesName} ${Date.parse(p.value[0])}`));
        return shown.length ? [time(shown[0].value[0]), ...shown.map((p) => {
          const point = notes.get(`${p.seriesName} ${Date.parse(p.value[0])}`);
          if (point.value === null) return null;
          const band = point.low !== null && point.low !== undefined ? ` (${format(point.low)} – ${format(point.high)})` : "";
          return `${lines.length > 1 ? `${p.seriesName}: ` : ""}${format(point.value)}${band}${point.note ? ` · ${point.note}` : ""}`;
        })] : [];
      }),
    };
  }, { label, className });
}

/** Bars over time: points [{ at, value, isOpen }]; open buckets are lighter. */
export function barChart(label, { format = count } = {}) {
  return chart(({ points }, c) => ({
    grid: { ...grid, top: 14 }, xAxis: timeAxis(c), yAxis: valueAxis(c, (value) => format(value)),
    series: [{ type: "bar", barMaxWidth: 26, data: points.map((p) => ({ value: [p.at, p.value], itemStyle: { color: c.accent, opacity: p.isOpen ? 0.45 : 0.9, borderRadius: [3, 3, 0, 0] } })) }],
    tooltip: tooltip(c, (found) => [time(found[0].value[0]), `${format(found[0].value[1])}${points[found[0].dataIndex]?.isOpen ? " so far" : ""}`]),
  }), { label });
}

export function lineChart(label, { format = seconds } = {}) {
  return chart(({ lines }, c) => ({
    grid: { ...grid, top: lines.length > 1 ? 34 : 14 }, xAxis: timeAxis(c), yAxis: valueAxis(c, (value) => format(value)), legend: lines.length > 1 ? legend(c) : { show: false },
    series: lines.map(({ name, points }, index) => ({ type: "line", name, showSymbol: false, data: points.map((p) => [p.at, p.value]), lineStyle: { width: 2, color: c.series[index % 10] }, itemStyle: { color: c.series[index % 10] } })),
    tooltip: tooltip(c, (found) => [time(found[0].value[0]), ...found.filter((p) => p.value[1] !== null).map((p) => `${lines.length > 1 ? `${p.seriesName}: ` : ""}${format(p.value[1])}`)]),
  }), { label });
}

/** Shares of classes over time, stacked to 100 %: classes [{ name, points: [{ at, share, labels }] }]. */
export function shareChart(label) {
  return chart(({ classes }, c) => ({
    grid, xAxis: timeAxis(c), yAxis: valueAxis(c, (value) => percent(value, 0), { max: 1 }), legend: legend(c),
    series: classes.map(({ name, points }, index) => ({ type: "line", name, stack: "all", symbol: "none", areaStyle: { opacity: 0.75 }, lineStyle: { width: 0.5 }, color: c.series[index % 10], data: points.map((p) => [p.at, p.share]) })),
    tooltip: tooltip(c, (found) => [time(found[0].value[0]), ...found.map((p) => `${p.seriesName}: ${percent(p.value[1])}`).reverse()]),
  }), { label, className: "tall" });
}

/** What is taken for what: cells [{ truth, label, share, labels }]. */
export function confusionChart(label) {
  return chart(({ cells }, c) => {
    const names = [...new Set(cells.flatMap((cell) => [cell.truth, cell.label]))].sort();
    const cut = (name) => (name.length > 14 ? `${name.slice(0, 13)}…` : name);
    const axis = (title) => ({ type: "category", data: names, name: title, nameLocation: "middle", nameGap: 28, nameTextStyle: { color: c.muted }, axisLabel: { color: c.ink, formatter: cut, hideOverlap: false, rotate: title === "answered" && names.length > 6 ? 40 : 0 }, axisLine: { show: false }, axisTick: { show: false }, splitArea: { show: false } });
    const value = (cell) => ({ value: [names.indexOf(cell.label), names.indexOf(cell.truth), cell.share], cell, label: { color: cell.share > 0.5 ? c.surface : c.ink } });
    return {
      grid: { left: 26, right: 8, top: 6, bottom: 26, containLabel: true }, xAxis: axis("answered"), yAxis: { ...axis("known answer"), inverse: true, nameGap: 66, nameRotate: 90 },
      visualMap: [
        { show: false, seriesIndex: 0, min: 0, max: 1, dimension: 2, inRange: { color: [c.sunken, c.accent] } },
        { show: false, seriesIndex: 1, min: 0, max: 0.35, dimension: 2, inRange: { color: [c.sunken, c.bad] } },
      ],
      series: [
        { type: "heatmap", data: cells.filter((x) => x.truth === x.label).map(value), itemStyle: { borderWidth: 2, borderColor: c.surface, borderRadius: 4 }, label: { show: names.length <= 12, formatter: (p) => percent(p.value[2], 0) } },
        { type: "heatmap", data: cells.filter((x) => x.truth !== x.label).map((x) => ({ ...value(x), label: { color: x.share > 0.22 ? c.surface : c.ink } })), itemStyle: { borderWidth: 2, borderColor: c.surface, borderRadius: 4 }, label: { show: names.length <= 12, formatter: (p) => percent(p.value[2], 0) } },
      ],
      tooltip: tooltip(c, ([p]) => [`known answer ${p.data.cell.truth}`, `answered ${p.data.cell.label}: ${percent(p.data.cell.share)} (${count(p.data.cell.labels)} labels)`], "item"),
    };
  }, { label, className: "tall" });
}

/** Stages one below the other, each a part of the first: stages [{ name, value }]. */
export function funnelChart(label) {
  return chart(({ stages }, c) => ({
    grid: { left: 4, right: 90, top: 4, bottom: 4, containLabel: true },
    xAxis: { type: "value", show: false, max: Math.max(...stages.map((s) => s.value), 1) },
    yAxis: { type: "category", inverse: true, data: stages.map((s) => s.name), axisLine: { show: false }, axisTick: { show: false }, axisLabel: { color: c.ink, width: 150, overflow: "break" } },
    series: [{ type: "bar", barMaxWidth: 26, showBackground: true, backgroundStyle: { color: c.sunken, borderRadius: 6 }, itemStyle: { color: c.accent, borderRadius: 6 }, data: stages.map((s) => s.value), label: { show: true, position: "right", color: c.ink, formatter: (p) => `${count(p.value)} · ${percent(p.value / Math.max(stages[0].value, 1), 0)}` } }],
    tooltip: tooltip(c, ([p]) => [p.name, count(p.value)], "item"),
  }), { label });
}

/** Parts of a whole in one bar: parts [{ name, value, colour }]. */
export function partsChart(label) {
  return chart(({ rows, parts }, c) => ({
    grid: { left: 4, right: 14, top: 34, bottom: 4, containLabel: true }, legend: legend(c),
    xAxis: { type: "value", axisLabel: { color: c.muted, formatter: count }, splitLine: { lineStyle: { color: c.line } } },
    yAxis: { type: "category", inverse: true, data: rows.map((row) => row.name), axisLine: { show: false }, axisTick: { show: false }, axisLabel: { color: c.ink, width: 170, overflow: "truncate" } },
    series: parts.map(({ key, name, colour }) => ({ type: "bar", stack: "all", name, barMaxWidth: 24, color: c[colour] ?? c.series[colour], data: rows.map((row) => row[key]) })),
    tooltip: tooltip(c, (found) => [found[0].name, ...found.map((p) => `${p.seriesName}: ${count(p.value)}`)]),
  }), { label });
}

/** A small trend beside a row. */
export function spark(values, { label, min = null, max = null, isBar = false }) {
  const one = chart((points, c) => ({
    grid: { left: 1, right: 1, top: 3, bottom: 3 }, xAxis: { type: "category", show: false, boundaryGap: isBar, data: points.map((_, i) => i) },
    yAxis: { type: "value", show: false, scale: !isBar, min, max },
    series: [isBar
      ? { type: "bar", silent: true, data: points, itemStyle: { color: c.accent, opacity: 0.6, borderRadius: [1, 1, 0, 0] }, barCategoryGap: "20%" }
      : { type: "line", silent: true, data: points, symbol: "none", connectNulls: true, lineStyle: { width: 1.6, color: c.accent } }],
  }), { className: "spark", label, isQuiet: true });
  one.draw(values);
  return one.element;
}
