// The page: its contents and controls.

import * as alarm from "./alarm.js";
import { HOP_SECONDS, findEvents, highestThreshold } from "./events.js";
import { Microphone } from "./microphone.js";
import { COLUMN_SECONDS, columnsOf, draw, thinned } from "./picture.js";
import { Unheard, hear } from "./recording.js";
import { clock, csv, duration, labels, percent, verdict } from "./words.js";

const SHOWN_SECONDS = 60;
const MOST_EVENTS = 100;
// Updates arrive every half second: a longer pause is an error.
const DEAF_SECONDS = 5;
// Longer digital silence means that the microphone is muted.
const SILENT_WINDOWS = 20;
// The alarm repeats while a baby cries.
const REPEAT_SECONDS = 20;

const find = (selector) => document.querySelector(selector);

/** Settings saved between visits, if the browser allows it. */
const memory = {
  get(name) {
    try {
      return localStorage.getItem(`yamnet-cry ${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`yamnet-cry ${name}`, value);
    } catch {
      // Pages in a frame may have no storage.
    }
  },
};

function show(panel, kind, sentence, more = "") {
  const [strong, span] = panel.querySelectorAll(".verdict > *");
  panel.querySelector(".verdict").className = `verdict ${kind}`;
  // Screen readers announce a status each time it is set.
  if (strong.textContent !== sentence) strong.textContent = sentence;
  if (span.textContent !== more) span.textContent = more;
}

const worker = new Worker("worker.js", { type: "module" });
let model = null;
let threshold = 0.5;

worker.addEventListener("message", ({ data }) => {
  if (data.kind === "ready") begin(data.model);
  else if (data.kind === "failed" && !model) unusable(data.reason);
});
worker.onerror = () => unusable("this browser is too old to run it");

function unusable(reason) {
  find("#loading").textContent = `The page could not be loaded: ${reason}.`;
  keepOffline();
}

function begin(loaded) {
  model = loaded;
  const slider = find("#sensitivity");
  slider.value = memory.get("sensitivity") ?? 1 - model.threshold;
  moved();
  find("#size").textContent = model.kilobytes;
  find("#loading").hidden = true;
  for (const name of ["#listen", "#example", "#file"]) find(name).disabled = false;
  keepOffline();
}

// --- Sensitivity

function moved() {
  const sensitivity = Number(find("#sensitivity").value);
  threshold = Math.round((1 - sensitivity) * 1e4) / 1e4;
  find("#threshold").textContent =
    `Threshold: a probability of ${percent(threshold)}. To the right: more detections and more false alarms.`;
  worker.postMessage({ kind: "threshold", threshold });
  drawLive();
  if (recording) showRecording();
}

find("#sensitivity").addEventListener("input", (event) => {
  memory.set("sensitivity", event.target.value);
  moved();
});

// --- Listening

let live = null;

const microphone = new Microphone(worker, { onUpdate: heard, onProblem: problem });

function newLive() {
  return { columns: [], firstColumn: 0, probabilities: [], first: 0, events: [], count: 0, start: null, silent: 0 };
}

async function startListening() {
  const panel = find("#live");
  find("#listen").disabled = true;
  live = { ...newLive(), begun: performance.now(), last: performance.now() };
  find("#live-events").replaceChildren();
  find("#none").hidden = false;
  panel.hidden = false;
  show(panel, "quiet", "Listening", "Updated every half second.");
  try {
    await microphone.start(threshold);
  } catch (error) {
    live = null;
    show(panel, "problem", "Listening failed", error.message);
    find("#listen").disabled = false;
    return;
  }
  live.last = performance.now();
  live.watch = setInterval(watch, 1000);
  Object.assign(find("#listen"), { textContent: "Stop listening", disabled: false });
  find("#bar").hidden = false;
  document.title = "Listening: is a baby crying?";
  await alarm.keepAwake(true);
}

async function stopListening() {
  const ended = live;
  find("#listen").disabled = true;
  clearInterval(live.watch);
  const event = await microphone.stop();
  if (event) finished(event);
  find("#none").hidden = ended.count > 0;
  ended.start = null;
  drawLive();
  live = null;
  Object.assign(find("#listen"), { textContent: "Start listening", disabled: false });
  find("#bar").hidden = true;
  document.title = "Is a baby crying?";
  const times = ended.count === 1 ? "once" : `${ended.count} times`;
  const told = ended.count ? `It cried ${times}.` : "No crying was heard.";
  show(find("#live"), ended.count ? "crying" : "quiet", "Stopped listening", told);
  await alarm.keepAwake(false);
}

function heard(update) {
  if (!live) return;
  live.last = performance.now();
  live.told = false;
  // Time of day of the first sample.
  live.epoch ??= Date.now() - update.time * 1000;
  live.columns.push(...columnsOf(update.columns));
  live.probabilities.push(update.probability);
  forget();
  live.silent = update.level <= -100 ? live.silent + 1 : 0;
  live.start = update.crying ? (live.start ?? update.started) : null;
  if (update.finished) finished(update.finished);
  find("#none").hidden = update.crying || live.count > 0;
  const state = update.crying ? "crying" : "quiet";
  const sure = `A baby cries with a probability of ${percent(update.probability)}.`;
  if (live.silent >= SILENT_WINDOWS) {
    status("problem", update, "No sound");
    show(find("#live"), "problem", "The microphone delivers only silence", "Is it muted, or covered by a switch?");
  } else {
    status(state, update, "Listening");
    show(find("#live"), state, update.crying ? "A baby is crying" : "No crying", sure);
  }
  if (update.crying && (update.started !== null || live.last - live.alarmed > REPEAT_SECONDS * 1000)) {
    live.alarmed = live.last;
    tell("A baby is crying", `Since ${timeOfDay(live.start)}`);
  }
  document.title = update.crying ? "A baby is crying" : "Listening: is a baby crying?";
  if (document.visibilityState === "visible") drawLive(update.time);
}

/** Drops columns and windows that the picture no longer shows. */
function forget() {
  const columns = live.columns.length - Math.ceil(SHOWN_SECONDS / COLUMN_SECONDS) - 16;
  if (columns > 0) {
    live.columns.splice(0, columns);
    live.firstColumn += columns;
  }
  const windows = live.probabilities.length - Math.ceil(SHOWN_SECONDS / HOP_SECONDS) - 2;
  if (windows > 0) {
    live.probabilities.splice(0, windows);
    live.first += windows;
  }
  live.events.splice(0, live.events.length - MOST_EVENTS);
}

function status(kind, update, word) {
  find("#bar").className = kind;
  find("#still").textContent = word;
  find("#heard-for").textContent = clock(update.time).replace(/\.\d$/, "");
  find("#decibels").textContent = `${Math.round(update.level)} dBFS`;
  find("#level").setAttribute("aria-valuenow", Math.round(update.level));
  find("#level div").style.width = `${Math.min(Math.max((update.level + 80) / 80, 0), 1) * 100}%`;
}

function timeOfDay(seconds) {
  return new Date(live.epoch + seconds * 1000).toLocaleTimeString();
}

function finished(event) {
  live.events.push(event);
  live.count++;
  const row = document.createElement("li");
  row.value = live.count;
  const length = duration(event.end - event.start);
  row.textContent = `${timeOfDay(event.start)} (${clock(event.start)}): cried for ${length}, peak ${percent(event.peak)}`;
  find("#live-events").prepend(row);
  while (find("#live-events").childElementCount > MOST_EVENTS) find("#live-events").lastChild.remove();
}

function watch() {
  if (performance.now() - live.last > DEAF_SECONDS * 1000) {
    problem("No sound arrives from the microphone. Stop listening and start again.");
  }
}

function problem(reason) {
  if (!live) return;
  find("#bar").className = "problem";
  find("#still").textContent = "Not listening";
  document.title = "Not listening";
  show(find("#live"), "problem", "No longer listening", reason);
  if (!live.told) tell("No longer listening", reason);
  live.told = true;
}

function tell(title, body) {
  if (find("#sound").checked && microphone.context) alarm.sound(microphone.context);
  if (find("#notify").checked) alarm.notify(title, body);
}

function drawLive(now = null) {
  if (!live) return;
  live.now = now ?? live.now ?? 0;
  const from = Math.max(0, live.now - SHOWN_SECONDS);
  const going = live.start === null ? [] : [{ start: live.start, end: live.now }];
  draw(find("#live canvas"), {
    spectrogram: { columns: live.columns, seconds: COLUMN_SECONDS, start: live.firstColumn * COLUMN_SECONDS },
    probabilities: live.probabilities,
    first: live.first,
    events: [...live.events, ...going],
    threshold,
    from,
    to: from + SHOWN_SECONDS,
  });
}

find("#listen").addEventListener("click", () => (live ? stopListening() : startListening()));

for (const name of ["sound", "notify"]) {
  const box = find(`#${name}`);
  box.checked = memory.get(name) === "true" && (name === "sound" || window.Notification?.permission === "granted");
  box.addEventListener("change", async () => {
    const refused = name === "notify" && box.checked ? await alarm.allowed() : "";
    if (refused) {
      box.checked = false;
      find("#live").hidden = false;
      show(find("#live"), "problem", "No notifications", refused);
    }
    memory.set(name, box.checked);
  });
}

// --- A recording

let recording = null;
let hearing = null;

async function take(file) {
  hearing?.abort();
  hearing = new AbortController();
  const { signal } = hearing;
  const panel = find("#recording");
  const progress = find("#progress");
  progress.hidden = false;
  progress.removeAttribute("value");
  try {
    const found = await hear(file, (share) => (progress.value = share), signal);
    const columns = thinned(found.columns.flatMap(columnsOf));
    const player = find("#recording audio");
    URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(file);
    recording = { ...found, name: file.name, spectrogram: { ...columns, start: 0 } };
    panel.hidden = false;
    showRecording();
  } catch (error) {
    if (signal.aborted) return;
    recording = null;
    panel.hidden = false;
    for (const part of panel.querySelectorAll(":scope > :not(.verdict)")) part.hidden = true;
    const reason = error instanceof Unheard ? error.message : `${file.name} could not be read (${error.message}).`;
    show(panel, "problem", "This file cannot be used", reason);
  }
  progress.hidden = true;
}

function showRecording() {
  const panel = find("#recording");
  const { probabilities, seconds, name } = recording;
  const events = findEvents(probabilities, threshold, model.events, seconds);
  const probability = highestThreshold(probabilities, model.events);
  const sure = `A baby cries in it with a probability of ${percent(probability)}.`;
  for (const part of panel.children) part.hidden = false;
  show(panel, events.length ? "crying" : "quiet", verdict(events), sure);
  draw(panel.querySelector("canvas"), { ...recording, events, threshold, from: 0, to: Math.max(seconds, 0.01) });
  const rows = events.map(({ start, end, peak }) => [clock(start), clock(end), duration(end - start), percent(peak)]);
  const table = panel.querySelector("table");
  table.replaceChildren(row("th", ["from", "to", "duration", "peak"]), ...rows.map((cells) => row("td", cells)));
  table.hidden = find("#downloads").hidden = !events.length;
  const stem = name.replace(/\.[^.]*$/, "") || "recording";
  for (const link of find("#downloads").children) URL.revokeObjectURL(link.href);
  find("#downloads").replaceChildren(
    download(`${stem}.csv`, csv(name, events, probability), "Events for a spreadsheet (CSV)"),
    download(`${stem}.txt`, labels(events), "Events for Audacity"),
  );
}

function row(kind, cells) {
  const line = document.createElement("tr");
  line.append(...cells.map((cell) => Object.assign(document.createElement(kind), { textContent: cell })));
  return line;
}

function download(name, text, label) {
  const href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  return Object.assign(document.createElement("a"), { className: "button", download: name, href, textContent: label });
}

find("#file").addEventListener("change", ({ target }) => target.files[0] && take(target.files[0]));
find("#example").addEventListener("click", async () => {
  const answer = await fetch("example.mp3");
  take(new File([await answer.blob()], "example.mp3"));
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    find("#drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && model && event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}

// --- Page and service worker

function redraw() {
  drawLive();
  if (recording) showRecording();
}

addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
document.addEventListener("visibilitychange", () => {
  redraw();
  if (live) alarm.keepAwake(true);
});
if (window.top !== window) {
  find("#framed").hidden = false;
  find("#framed a").href = location.href;
}

async function keepOffline() {
  const workers = navigator.serviceWorker;
  const registration = await workers?.register("service-worker.js");
  if (!registration?.waiting) return;
  // A release downloaded at the last visit. It is activated only when the old one is loaded completely, because
  // Chromium delays it to the next visit if a file is fetched at the same time.
  workers.addEventListener("controllerchange", () => live || recording || location.reload());
  registration.waiting.postMessage("take over");
}
