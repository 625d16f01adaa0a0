/** How figures and moments are written for people. */
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const year = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const EPOCH_MS = Date.parse("1971-01-01T00:00:00Z");

export const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));
export const short = (value) => (value === null || value === undefined ? "–" : value < 100_000 ? whole.format(value) : compact.format(value));
export const percent = (value, digits = 1) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(digits)} %`);
export const seconds = (ms) => (ms === null || ms === undefined ? "–" : ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : `${whole.format(ms / 1000)} s`);

export function time(text) {
  if (!text) return "–";
  const at = Date.parse(text);
  if (at < EPOCH_MS) return "–";
  const isThisYear = new Date(at).getFullYear() === new Date().getFullYear();
  return (isThisYear ? moment : year).format(at);
}

export function ago(text, now = Date.now()) {
  const elapsed = (now - Date.parse(text)) / 1000;
  if (elapsed < 90) return `${Math.max(Math.round(elapsed), 0)} s ago`;
  if (elapsed < 5400) return `${Math.round(elapsed / 60)} min ago`;
  if (elapsed < 172_800) return `${Math.round(elapsed / 3600)} h ago`;
  return `${Math.round(elapsed / 86_400)} days ago`;
}

export function bytes(value) {
  return value < 1024 ? `${value} B` : value < 1_048_576 ? `${(value / 1024).toFixed(1)} kB` : `${(value / 1_048_576).toFixed(1)} MB`;
}

/** How much a figure has changed, as a share; null where that says nothing. */
export function change(now, before) {
  return before > 0 && now !== null ? now / before - 1 : null;
}

export function signed(value, unit = "%") {
  const text = Math.abs(100 * value).toFixed(1);
  return `${value >= 0 ? "+" : "−"}${text} ${unit}`;
}
