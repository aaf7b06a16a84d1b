// Formats times, verdicts and event files like the Python package.

/** Formats a time: 0:02.4, or 1:02:03.0. */
export function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const hours = Math.floor(tenths / 36_000);
  const minutes = Math.floor(tenths / 600) % 60;
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return `${hours ? `${hours}:${String(minutes).padStart(2, "0")}` : minutes}:${rest}`;
}

/** Formats a length of time: 8.6 s, 1 min 15 s, or 1 h 2 min. */
export function duration(seconds) {
  if (Math.round(seconds * 10) / 10 < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds) % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Formats a share; the number and its sign stay on one line. */
export const percent = (share) => `${Math.round(share * 100)}\u00a0%`;

/** Describes the events in one sentence. */
export function verdict(events) {
  if (!events.length) return "No crying heard";
  const total = events.reduce((sum, event) => sum + event.end - event.start, 0);
  return `Crying heard ${events.length === 1 ? "once" : `${events.length} times`}, ${duration(total)} in all`;
}

/** Returns the table of events that `yamnet-cry detect --csv` writes. */
export function csv(name, events, probability) {
  const quoted = /[",\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
  const common = [quoted, events.length ? 1 : 0, probability.toFixed(4)];
  const rows = events.map(({ start, end, peak, mean }, number) => [
    ...common,
    number + 1,
    ...[start, end, end - start].map((value) => value.toFixed(2)),
    ...[peak, mean].map((value) => value.toFixed(4)),
    "",
  ]);
  if (!rows.length) rows.push([...common, "", "", "", "", "", "", ""]);
  const head = "file,is_cry,probability,event,start,end,seconds,peak,mean,heard";
  return [head, ...rows.map((row) => row.join(","))].join("\n") + "\n";
}

/** Returns a label track for Audacity. */
export function labels(events) {
  return events
    .map(({ start, end, peak }) => `${start.toFixed(6)}\t${end.toFixed(6)}\tcrying ${Math.round(peak * 100)} %\n`)
    .join("");
}
