/** The shell: pages, project, period, theme, live updates. */
import { freshness, listen, request, rows, send } from "./api.js";
import { redrawAll, sweep } from "./charts.js";
import { h, replace } from "./dom.js";
import { ago } from "./format.js";
import { parameters, RANGES } from "./state.js";
import * as alerts from "./pages/alerts.js";
import * as annotator from "./pages/annotator.js";
import * as annotators from "./pages/annotators.js";
import * as health from "./pages/health.js";
import * as items from "./pages/items.js";
import * as overview from "./pages/overview.js";
import * as project from "./pages/project.js";

const PAGES = {
  "/": { title: "Overview", module: overview }, "/project": { title: "Project", module: project, needsProject: true },
  "/annotators": { title: "Annotators", module: annotators, needsProject: true },
  "/annotator": { title: "Annotator", module: annotator, isHidden: true, needsProject: true },
  "/items": { title: "Items", module: items, needsProject: true }, "/alerts": { title: "Alerts", module: alerts },
  "/health": { title: "Data health", module: health },
};
const REFRESH_MS = 1000;
const main = document.getElementById("main");
const banner = document.getElementById("banner");
const state = { projects: [], session: null, page: null, connection: "connecting", asOf: null, isStale: false };
let waiting = null, isLoading = false, isWanted = false, loadedAt = -REFRESH_MS;

const navigation = document.getElementById("navigation");
for (const [path, { title, isHidden }] of Object.entries(PAGES)) if (!isHidden) navigation.append(h("a", { href: path, "data-link": "" }, title));
const projectSelect = document.getElementById("project");
const rangeSelect = document.getElementById("range");
replace(rangeSelect, RANGES.map(([value, title]) => h("option", { value }, title)));

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  redrawAll();
}
const preference = matchMedia("(prefers-color-scheme: dark)");
const saved = localStorage.getItem("labelpulse-theme");
setTheme(saved ?? (preference.matches ? "dark" : "light"));
preference.addEventListener("change", () => localStorage.getItem("labelpulse-theme") ?? setTheme(preference.matches ? "dark" : "light"));
document.getElementById("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("labelpulse-theme", theme);
  setTheme(theme);
});

function go(path, changes = {}, { isReplacing = false } = {}) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) if (value) query.set(name, value); else query.delete(name);
  const address = query.size ? `${path}?${query}` : path;
  history[isReplacing ? "replaceState" : "pushState"]({}, "", address);
  return show();
}

document.addEventListener("click", (event) => {
  const found = event.target.closest?.("a[data-link]");
  if (!found || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const target = new URL(found.href);
  const kept = parameters();
  for (const name of ["project", "range", "slice"]) if (kept[name] && !target.searchParams.has(name)) target.searchParams.set(name, kept[name]);
  history.pushState({}, "", target);
  show().then(() => main.focus({ preventScroll: true }));
  scrollTo(0, 0);
});
addEventListener("popstate", show);
projectSelect.addEventListener("change", () => {
  const path = location.pathname === "/annotator" ? "/annotators" : location.pathname === "/" && projectSelect.value ? "/project" : location.pathname;
  go(path, { project: projectSelect.value, annotator: "", question: "", item: "" });
});
rangeSelect.addEventListener("change", () => go(location.pathname, { range: rangeSelect.value }));

async function show() {
  const chosen = PAGES[location.pathname] ?? PAGES["/"];
  const given = parameters();
  if (chosen.needsProject && !given.project && state.projects.length) {
    return go(location.pathname, { project: largest(state.projects).project_id }, { isReplacing: true });
  }
  rangeSelect.value = given.range || "3d";
  projectSelect.value = given.project;
  for (const item of navigation.children) {
    const isHere = item.getAttribute("href") === (chosen.isHidden ? "/annotators" : location.pathname);
    if (isHere) item.setAttribute("aria-current", "page"); else item.removeAttribute("aria-current");
  }
  document.title = `${chosen.title}${given.annotator ? ` ${given.annotator}` : ""}${given.project ? ` · ${given.project}` : ""} · labelpulse`;
  if (chosen.needsProject && !state.projects.length) return void replace(main, nothingYet());
  state.page = chosen.module.build({ ...given, projectRow: state.projects.find((row) => row.project_id === given.project) ?? null, session: state.session, go });
  replace(main, state.page.elements);
  sweep();
  await load();
}

const largest = (projects) => projects.reduce((a, b) => (b.labels > a.labels ? b : a));

function nothingYet() {
  return h("div", { class: "card empty" }, h("h1", {}, "No events yet"), "As soon as the flow has read its first events, the projects appear here by themselves.");
}

async function load() {
  if (isLoading) { isWanted = true; return; }
  isLoading = true;
  loadedAt = performance.now();
  const page = state.page;
  try {
    await Promise.all([loadProjects(), page.load()]);
    main.querySelectorAll(":scope > .error").forEach((one) => one.remove());
  } catch (error) {
    fail(error);
  } finally {
    isLoading = false;
    sweep();
    if (isWanted || page !== state.page) { isWanted = false; schedule(); }
  }
}

function fail(error) {
  if (error.status === 401) return signIn();
  const message = h("div", { class: "card error", role: "alert" }, h("strong", {}, error.message), error.remedy ?? "");
  main.querySelectorAll(":scope > .error").forEach((one) => one.remove());
  if (error.status === 404 || error.status === 403 || !main.querySelector("canvas, td")) replace(main, message);
  else main.prepend(message);
  if (!error.status && !(error.name === "ApiError")) console.warn(error);
}

async function loadProjects() {
  const found = await rows("projects");
  const isOther = found.map((row) => row.project_id).join() !== state.projects.map((row) => row.project_id).join();
  const wasEmpty = !state.projects.length;
  state.projects = found;
  if (!isOther) return;
  replace(projectSelect, h("option", { value: "" }, "All projects"), found.map((row) => h("option", { value: row.project_id }, row.project_id)));
  projectSelect.value = parameters().project;
  if (wasEmpty && found.length && state.page) await show();
}

/** Loads at once if the page is old enough, else as soon as it is. */
function schedule() {
  if (waiting !== null) return;
  const wait = Math.max(0, loadedAt + REFRESH_MS - performance.now());
  waiting = setTimeout(() => { waiting = null; if (state.page && !document.hidden) load(); }, wait);
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) schedule(); });

function signIn() {
  const token = h("input", { type: "password", autocomplete: "current-password", required: true, id: "token" });
  const wrong = h("p", { class: "error", role: "alert", hidden: true });
  const form = h("form", {}, h("h1", {}, "Sign in"), h("label", {}, "Token", token), wrong, h("button", {}, "Open"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await send("/api/v1/session", { token: token.value });
      await start();
    } catch (error) {
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
  });
  replace(main, h("section", { class: "card sign-in" }, form));
  token.focus();
}

freshness.addEventListener("answer", ({ detail }) => {
  state.asOf = detail.asOf;
  state.isStale = detail.isStale;
  tellFreshness();
});

function tellFreshness() {
  const element = document.getElementById("freshness");
  const isLost = state.connection === "lost";
  const isStale = state.isStale || state.connection === "stale";
  element.dataset.state = isLost || isStale ? "stale" : state.connection === "live" ? "live" : "";
  const from = state.asOf ? `, figures from ${ago(state.asOf)}` : "";
  const text = isLost ? `Connection lost, trying again${from}` : isStale ? `Database does not answer${from}` : `Live${from}`;
  if (element.textContent !== text) element.textContent = text;
  banner.hidden = !(isLost || isStale);
  banner.textContent = isLost
    ? "The monitor does not answer. What you see is the last that is known; this page tries again by itself."
    : "The database does not answer. What you see is the last that is known; it is brought up to date by itself.";
}
setInterval(tellFreshness, 5000);
document.getElementById("zone").textContent = `Times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;

let stop = () => {};
async function start() {
  try {
    state.session = await (await request("/api/v1/session")).json();
    await loadProjects();
  } catch (error) {
    if (error.status === 401) return signIn();
    replace(main, h("div", { class: "card error", role: "alert" }, h("strong", {}, error.message), error.remedy ?? ""));
    setTimeout(start, 3000);
    return;
  }
  stop();
  stop = listen({ changed: schedule, state: (next) => { state.connection = next; tellFreshness(); if (next !== "lost") schedule(); } });
  await show();
}
start();
