/** Whether the data can be trusted: accounts, clocks, and what was refused. */
import { rows, send } from "../api.js";
import { partsChart } from "../charts.js";
import { badge, card, empty, figure, h, replace } from "../dom.js";
import { ago, bytes, count, percent, time } from "../format.js";
import { table } from "../table.js";

const PARTS = [
  { key: "folded", name: "counted", colour: "accent" }, { key: "duplicate", name: "delivered again", colour: 3 },
  { key: "late", name: "late", colour: 1 }, { key: "dead", name: "refused", colour: "bad" },
];

/** A form that appends a refused record to the log again, its text mended. */
function replayForm(row, said) {
  const text = h("textarea", { rows: 6, required: true, spellcheck: false, maxLength: 4_194_304 });
  text.value = row.payload;
  const reason = h("input", { type: "text", required: true, maxLength: 2000 });
  const told = h("p", { role: "status" });
  const button = h("button", {}, "Replay");
  const form = h("form", { class: "replay" }, h("label", {}, "Record", text), h("label", {}, "Reason", reason), h("div", { class: "row-actions" }, button), told);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    const { stream, partition, offset } = row;
    try {
      const done = await send("/api/v1/actions/replay", { stream, partition, offset, reason: reason.value, payload: text.value === row.payload ? null : text.value });
      told.className = "";
      told.textContent = `Appended to the log, as an event of ${done.event.project_id}. It counts like any other; this letter stays as history.`;
    } catch (error) {
      told.className = "error";
      told.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  });
  return h("details", { class: "replaying" }, h("summary", {}, said), form);
}

function rawBytes(row, session) {
  const binary = Uint8Array.from(atob(row.payload_base64), (character) => character.charCodeAt(0));
  const address = URL.createObjectURL(new Blob([binary], { type: "application/octet-stream" }));
  const isCut = binary.length < row.payload_bytes;
  const hex = [...binary.slice(0, 256)].map((value) => value.toString(16).padStart(2, "0")).join(" ");
  return h("div", {}, h("p", {}, row.error), h("p", { class: "muted" }, `${bytes(row.payload_bytes)}${isCut ? `, of which the first ${bytes(binary.length)} were kept` : ""} · `, h("a", { href: address, download: `${row.partition}-${row.offset}.bin` }, "download the raw bytes")),
    h("pre", { tabindex: "0", role: "region", "aria-label": "The record as text" }, row.payload.slice(0, 4000)), h("details", {}, h("summary", {}, "First bytes"), h("pre", { tabindex: "0", role: "region", "aria-label": "First bytes" }, hex)),
    session?.may_replay && row.payload_bytes <= 4_194_304 && replayForm(row, "Mend and replay"));
}

export function build({ project, session }) {
  const balance = figure("Accounts"), events = figure("Events in"), refused = figure("Refused"), newest = figure("Newest event");
  const accounts = card("What became of each event", { note: "events in = counted + delivered again + late + refused", width: "w8" });
  const reasons = card("Why records were refused", { width: "w4" });
  const clocks = card("Clocks of the projects", { note: "windows become final when the clock has passed them" });
  const letters = card("Refused records", { note: "the latest first, with their bytes" });
  const chart = partsChart("Events by partition and what became of them");
  const projects = table([
    { title: "Project", sort: (row) => row.project_id, cell: (row) => row.project_id }, { title: "Clock", sort: (row) => row.clock_at, cell: (row) => time(row.clock_at) },
    { title: "Latest event", sort: (row) => row.last_at, cell: (row) => `${time(row.last_at)} (${ago(row.last_at)})` },
    { title: "Behind the newest", isNumber: true, sort: (row) => -Date.parse(row.last_at), cell: (row) => row.behind },
    { title: "Partition", isNumber: true, sort: (row) => row.partition, cell: (row) => count(row.partition) },
    { title: "Unmatched retractions", isNumber: true, sort: (row) => row.unmatched_retractions, cell: (row) => count(row.unmatched_retractions) },
    { title: "Order", cell: (row) => (row.is_unordered ? badge("warning", "▲ not certain") : badge("good", "✓ one order")) },
  ], { caption: "Clocks of the projects", none: "No projects yet" });
  const dead = table([
    { title: "Reason", sort: (row) => row.error_code, cell: (row) => badge("dead", row.error_code) }, { title: "Stage", sort: (row) => row.stage, cell: (row) => row.stage },
    { title: "Project", sort: (row) => row.project_id, cell: (row) => row.project_id ?? "–" }, { title: "Partition", isNumber: true, sort: (row) => row.partition, cell: (row) => count(row.partition) },
    { title: "Offset", isNumber: true, sort: (row) => row.offset, cell: (row) => count(row.offset) }, { title: "Size", isNumber: true, sort: (row) => row.payload_bytes, cell: (row) => bytes(row.payload_bytes) },
    { title: "", cell: () => "" },
  ], { caption: "Refused records", search: (row) => `${row.error_code} ${row.stage} ${row.project_id} ${row.error}`, details: async (row) => rawBytes(row, session), key: (row) => `${row.partition}/${row.offset}`, none: "No record was refused", pageRows: 15, keepsDetails: true });
  const codes = table([
    { title: "Reason", sort: (row) => row.error_code, cell: (row) => row.error_code }, { title: "Stage", cell: (row) => row.stage }, { title: "Records", isNumber: true, sort: (row) => row.records, cell: (row) => count(row.records) },
  ], { caption: "Why records were refused", none: "No record was refused", pageRows: 6 });
  return {
    elements: [
      h("div", { class: "head" }, h("h1", {}, "Data health"), h("p", { class: "lead" }, "nothing lost, nothing counted twice")),
      h("div", { class: "figures" }, balance.element, events.element, refused.element, newest.element),
      h("div", { class: "grid" }, accounts.element, reasons.element, clocks.element, letters.element),
    ],
    async load() {
      const settled = (promise) => promise.catch((error) => { if (error.status === 403) return Object.assign([], { isClosed: true }); throw error; });
      const [progress, found, why, refusedRows] = await Promise.all([settled(rows("progress")), rows("projects", { project }), rows("dead-letter-reasons", { project }), rows("dead-letters", { project, limit: 200 })]);
      showAccounts(progress);
      const latest = Math.max(...found.map((row) => Date.parse(row.last_at)));
      newest.show(found.length ? time(new Date(latest).toISOString()) : "–", found.length ? ago(new Date(latest).toISOString()) : "nothing yet");
      const behind = (row) => { const minutes = Math.round((latest - Date.parse(row.last_at)) / 60_000); return minutes ? `${count(minutes)} min` : "–"; };
      for (const [box, one, data] of [[clocks, projects, found.map((row) => ({ ...row, behind: behind(row) }))], [letters, dead, refusedRows], [reasons, codes, why]]) {
        if (!box.body.contains(one.element)) replace(box.body, one.element);
        one.show(data);
      }
    },
  };

  function showAccounts(progress) {
    if (progress.isClosed || !progress.length) {
      balance.show("–");
      replace(accounts.body, progress.isClosed ? empty("Not for this token", "The accounts are about all projects.") : empty("Nothing read yet"));
      return;
    }
    const sum = (name) => progress.reduce((total, row) => total + row[name], 0);
    const off = sum("unaccounted");
    balance.show(off === 0 ? "✓ balanced" : `${count(Math.abs(off))} under way`, off === 0 ? "every event is accounted for" : "0 once all that was read has been written");
    events.show(count(sum("events_in")), `in ${progress.length} partition${progress.length > 1 ? "s" : ""}`);
    refused.show(count(sum("dead")), `${percent(sum("dead") / Math.max(sum("events_in"), 1), 2)} of all; ${count(sum("late"))} late`);
    if (!accounts.body.contains(chart.element)) replace(accounts.body, chart.element);
    chart.draw({ rows: progress.map((row) => ({ ...row, name: `${row.stream.split(":")[0]} · ${row.partition}` })), parts: PARTS });
  }
}
