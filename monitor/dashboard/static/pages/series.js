/** Rows of trends as the charts take them. */
export const questionsOf = (rows) => [...new Set(rows.map((row) => row.question_id))];

export function accuracyLines(rows, name = (row) => row.question_id) {
  return grouped(rows, name).map(([title, of]) => ({
    name: title,
    points: of.map((row) => ({ at: row.bucket_start, value: row.accuracy, low: row.accuracy_low, high: row.accuracy_high, note: `${row.gold_labels} judged` })),
  }));
}

export function grouped(rows, name) {
  const groups = new Map();
  for (const row of rows) {
    const key = name(row);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  return [...groups];
}

/** One figure a bucket: questions put together by `value`, whose parts are added up. */
export function perBucket(rows, value) {
  return grouped(rows, (row) => row.bucket_start).sort(([a], [b]) => (a < b ? -1 : 1)).map(([at, of]) => ({ at, value: value(of), isOpen: of.some((row) => !row.is_final) }));
}

export const total = (of, name) => of.reduce((sum, row) => sum + (row[name] ?? 0), 0);

/** Changes as marks: several detectors may have seen the same one, so of each annotator and direction the first. */
export function driftMarks(drifts) {
  const first = new Map();
  for (const row of drifts.filter((one) => one.signal === "accuracy")) {
    const key = `${row.annotator_id} ${row.question_id} ${row.direction}`;
    if (!first.has(key) || row.detected_at < first.get(key).detected_at) first.set(key, row);
  }
  return [...first.values()].map((row) => ({ at: row.detected_at, text: row.annotator_id, isWorse: row.direction === "worse" }));
}

export const latest = (rows) => rows.length ? rows.reduce((a, b) => (b.bucket_start > a.bucket_start ? b : a)) : null;
