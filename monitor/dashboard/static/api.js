/** Asks the HTTP API; tells how fresh the answers are. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.status = status;
    this.remedy = problem.remedy ?? "";
  }
}

export const freshness = new EventTarget();

async function problemOf(response) {
  try {
    return await response.json();
  } catch {
    return { title: response.statusText };
  }
}

export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, credentials: "same-origin" });
  } catch {
    throw new ApiError(0, { detail: "The monitor does not answer.", remedy: "Is it still running?" });
  }
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return response;
}

/** Rows of one page of a named query. */
export async function rows(name, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const response = await request(`/api/v1/queries/${name}?${new URLSearchParams(given)}`);
  const detail = { asOf: response.headers.get("labelpulse-as-of"), isStale: response.headers.get("labelpulse-stale") === "true" };
  freshness.dispatchEvent(new CustomEvent("answer", { detail }));
  const answer = await response.json();
  const found = answer.rows;
  found.hasMore = answer.next_offset !== null;
  return found;
}

export async function send(path, body, method = "POST") {
  const response = await request(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return response.status === 204 ? null : response.json();
}

/** Server-sent events: calls back for each change, and for the state of the connection. */
export function listen({ changed, state }) {
  const source = new EventSource("/api/v1/live");
  source.addEventListener("hello", (event) => state(JSON.parse(event.data).is_stale ? "stale" : "live"));
  source.addEventListener("changed", (event) => changed(JSON.parse(event.data).projects));
  source.addEventListener("stale", () => state("stale"));
  source.addEventListener("fresh", () => { state("live"); changed([]); });
  source.addEventListener("error", () => state("lost"));
  return () => source.close();
}
