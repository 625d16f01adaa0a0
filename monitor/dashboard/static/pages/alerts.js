/** What is wrong, and what was done about it: acknowledge and silence, each with a reason. */
import { rows, request, send } from "../api.js";
import { badge, card, empty, h, replace } from "../dom.js";
import { time } from "../format.js";
import { hoursOf } from "../state.js";
import { identity, sentence, severityBadge } from "./attention.js";

const DONE = { "alerts.silenced": "silenced", "alert.acknowledged": "acknowledged", "dead_letter.replayed": "replayed" };
const HOURS = [[1, "1 hour"], [8, "8 hours"], [24, "1 day"], [168, "1 week"]];

/** Asks for a reason; resolves to what was given, or null. */
function ask(title, { hours = false } = {}) {
  const dialog = document.getElementById("dialog");
  const reason = h("textarea", { required: true, rows: 3, maxLength: 2000 });
  const period = h("select", {}, HOURS.map(([value, text]) => h("option", { value: String(value) }, text)));
  const form = h("form", { method: "dialog" }, h("h2", { id: "dialog-title" }, title), hours && h("label", {}, "For how long", period), h("label", {}, "Reason", reason),
    h("div", { class: "row-actions" }, h("button", { type: "button", class: "quiet", onclick: () => dialog.close("") }, "Cancel"), h("button", { value: "yes" }, "Confirm")));
  replace(dialog, form);
  dialog.returnValue = "";
  dialog.showModal();
  reason.focus();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? { reason: reason.value, hours: Number(period.value) } : null), { once: true }));
}

export function build({ project, range, session }) {
  const hours = Math.min(hoursOf(range) ?? 720, 720);
  const box = card("Alerts", { note: "the most urgent first" });
  const history = card("What was done", { note: "since the monitor started" });
  const wrong = h("p", { class: "error", role: "alert", hidden: true });
  const list = h("ul", { class: "attention" });
  let shown = "";

  async function act(path, body) {
    try {
      await send(`/api/v1/actions/${path}`, body);
      wrong.hidden = true;
    } catch (error) {
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
    await load();
  }

  async function acknowledge(row) {
    const given = await ask("Acknowledge this alert");
    if (given) await act("acknowledge", { alert_id: identity(row).slice(0, 256), project_id: row.project_id || null, reason: given.reason });
  }

  async function silence(row) {
    const given = await ask(`Silence alerts about ${row.annotator_id || row.project_id}`, { hours: true });
    const whom = { project_id: row.project_id, question_id: row.question_id || null, annotator_id: row.annotator_id || null, rule: row.rule ?? null };
    if (given) await act("silence", { ...whom, ...given });
  }

  function line(row, done) {
    const isTaken = done.find((event) => event.alert_id === identity(row).slice(0, 256));
    const isSilent = done.find((event) => event.type === "alerts.silenced" && Date.parse(event.until) > Date.now() && event.project_id === row.project_id && (!event.annotator_id || event.annotator_id === row.annotator_id));
    const state = isTaken ? `acknowledged by ${isTaken.by}: ${isTaken.comment}` : isSilent ? `silenced until ${time(isSilent.until)} by ${isSilent.by}: ${isSilent.comment}` : "";
    const text = h("div", {}, sentence(row), row.told?.length > 0 && h("small", {}, `${row.told.join(", ")}. `), state && h("small", {}, state));
    const actions = session?.may_act ? h("div", { class: "row-actions" },
      !isTaken && h("button", { type: "button", class: "quiet", onclick: () => acknowledge(row) }, "Acknowledge"),
      row.project_id && !isSilent && h("button", { type: "button", class: "quiet", onclick: () => silence(row) }, "Silence")) : null;
    return h("li", { "data-alert": identity(row) }, row.state === "resolved" ? badge("good", "✓ resolved") : severityBadge(row.severity), text, actions);
  }

  async function load() {
    const [alerts, deliveries, noticed, done] = await Promise.all([
      rows("alerts", { project, limit: 500 }), rows("alert-deliveries", { project, limit: 2000 }), rows("attention", { project, hours, limit: 500 }),
      request("/api/v1/actions").then((answer) => answer.json()),
    ]);
    const told = new Map();
    for (const one of deliveries) told.set(one.alert_id, [...(told.get(one.alert_id) ?? []), `${one.hook}: ${one.state}`]);
    const found = [...alerts.map((row) => ({ ...row, told: told.get(row.alert_id) ?? [] })), ...noticed];
    const events = done.map((one) => one.event);
    const next = JSON.stringify([found, events]);
    if (next === shown) return;
    shown = next;
    replace(list, found.map((row) => line(row, events)));
    replace(box.body, wrong, found.length ? list : empty("No alerts", "No annotator has got worse, nothing was refused."));
    replace(history.body, events.length ? h("ul", { class: "attention" }, events.map((event) => h("li", {}, h("span", { class: "badge" }, DONE[event.type]), h("p", {}, `${event.by}: ${event.comment}`, h("br"), h("small", {}, event.alert_id ?? [event.project_id, event.question_id, event.annotator_id, event.offset !== undefined && `record ${event.partition}/${event.offset}`].filter(Boolean).join(" · "))), h("small", {}, time(event.occurred_at))))) : empty("Nothing yet", session?.may_act ? "" : "Acknowledging and silencing need a token that may act, and a flow that takes control events."));
  }

  return { elements: [h("div", { class: "head" }, h("h1", {}, "Alerts"), h("p", { class: "lead" }, `last ${hours} hours${project ? ` of ${project}` : ", all projects"}`)), box.element, history.element], load };
}
