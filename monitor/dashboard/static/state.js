/** What the address says: page, project, period, and so on. */
export const RANGES = [
  ["6h", "Last 6 hours", 6], ["24h", "Last 24 hours", 24], ["3d", "Last 3 days", 72], ["7d", "Last 7 days", 168],
  ["30d", "Last 30 days", 720], ["all", "All time", null],
];
const BUCKETS = [900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800];
const POINTS = 90;

export function parameters() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(["project", "question", "annotator", "item", "range", "slice"].map((name) => [name, query.get(name) ?? ""]));
}

export function hoursOf(range) {
  return RANGES.find(([name]) => name === (range || "3d"))?.[2] ?? null;
}

/** Where a period begins and how long its buckets are. It ends at the project's own clock: data may be of any age. */
export function periodOf(range, project) {
  const hours = hoursOf(range);
  const end = Date.parse(project?.last_at ?? new Date().toISOString());
  const span = hours === null ? 400 * 86_400 : hours * 3600;
  const wanted = (hours === null ? 86_400 * 90 : span) / POINTS;
  const bucket = BUCKETS.find((seconds) => seconds >= wanted) ?? BUCKETS.at(-1);
  const since = hours === null ? "" : new Date(Math.floor((end / 1000 - span) / bucket) * bucket * 1000).toISOString();
  return { since, bucket_seconds: bucket };
}
