// Draws results: spectrogram, events, and the probability of crying with its threshold.

import { HOP_SECONDS, WINDOW_SECONDS } from "./events.js";
import { BANDS, COLUMN_FRAMES, HOP, SAMPLE_RATE, bandOf } from "./front-end.js";
import { clock } from "./words.js";

/** Duration of a column of a spectrogram, in seconds. */
export const COLUMN_SECONDS = (COLUMN_FRAMES * HOP) / SAMPLE_RATE;

const MOST_COLUMNS = 1200;
const LEFT = 52;
const RIGHT = 10;
const BOTTOM = 26;
const STRIP = 12;
const GAP = 10;

// The brightest colour stands for at least this value, 0 nepers, so that quiet recordings stay dark.
const BRIGHT = 147;

// Matplotlib's colour map magma, at seven points.
const STOPS = [[0, 0, 4], [44, 17, 95], [114, 31, 129], [183, 55, 121], [241, 96, 93], [254, 175, 119], [252, 253, 191]];

const STEPS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

/** Merges columns, each a Uint8Array of 64 bands, by their maximum, to at most MOST_COLUMNS. */
export function thinned(columns) {
  const step = Math.ceil(columns.length / MOST_COLUMNS);
  if (step <= 1) return { columns, seconds: COLUMN_SECONDS };
  const found = [];
  for (let first = 0; first < columns.length; first += step) {
    const loudest = columns[first].slice();
    for (const column of columns.slice(first + 1, first + step)) {
      for (let band = 0; band < BANDS; band++) loudest[band] = Math.max(loudest[band], column[band]);
    }
    found.push(loudest);
  }
  return { columns: found, seconds: step * COLUMN_SECONDS };
}

/** Splits the bytes of one or more updates into columns. */
export function columnsOf(bytes) {
  return Array.from({ length: bytes.length / BANDS }, (_, n) => bytes.subarray(n * BANDS, (n + 1) * BANDS));
}

/**
 * Draws on a canvas.
 *
 * `spectrogram` is the result of `thinned`, with `start`, the time of its first column; `probabilities` begin with
 * window number `first`; the picture covers the time from `from` to `to`, in seconds.
 */
export function draw(canvas, { spectrogram, probabilities, first = 0, events, threshold, from, to }) {
  const { width, height } = canvas.getBoundingClientRect();
  if (!width) return;
  const scale = window.devicePixelRatio || 1;
  Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const colour = (name) => getComputedStyle(canvas).getPropertyValue(name).trim();
  const [ink, line] = [colour("--ink"), colour("--line")];
  context.font = "13px system-ui, sans-serif";

  const inner = width - LEFT - RIGHT;
  const free = height - BOTTOM - STRIP - 2 * GAP - 4;
  const upper = { top: 4, height: free * 0.58 };
  const strip = { top: upper.top + upper.height + GAP, height: STRIP };
  const lower = { top: strip.top + STRIP + GAP, height: free * 0.42 };
  const x = (time) => LEFT + (Math.min(Math.max((time - from) / (to - from), 0), 1)) * inner;
  const y = (share) => lower.top + (1 - share) * lower.height;

  context.fillStyle = colour("--field");
  context.fillRect(LEFT, upper.top, inner, upper.height);
  context.save();
  context.beginPath();
  context.rect(LEFT, upper.top, inner, upper.height);
  context.clip();
  if (spectrogram.columns.length) {
    const start = LEFT + ((spectrogram.start - from) / (to - from)) * inner;
    const size = ((spectrogram.columns.length * spectrogram.seconds) / (to - from)) * inner;
    context.drawImage(image(spectrogram.columns), start, upper.top, size, upper.height);
  }
  context.restore();

  context.fillStyle = ink;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const hertz of [250, 500, 1000, 2000, 4000]) {
    const at = upper.top + upper.height * (1 - (bandOf(hertz) + 0.5) / BANDS);
    context.fillText(hertz < 1000 ? `${hertz} Hz` : `${hertz / 1000} kHz`, LEFT - 6, at);
  }
  context.fillText("cries", LEFT - 6, strip.top + STRIP / 2);
  for (const share of [0, 0.5, 1]) context.fillText(`${share * 100} %`, LEFT - 6, y(share));

  context.fillStyle = colour("--field");
  context.fillRect(LEFT, strip.top, inner, STRIP);
  for (const event of events) {
    const [begin, end] = [x(event.start), x(event.end)];
    if (event.end < from || event.start > to) continue;
    context.fillStyle = colour("--event");
    context.fillRect(begin, strip.top, Math.max(end - begin, 2), STRIP);
    context.globalAlpha = 0.25;
    context.fillRect(begin, lower.top, end - begin, lower.height);
    context.globalAlpha = 1;
  }

  context.strokeStyle = line;
  context.strokeRect(LEFT, lower.top, inner, lower.height);
  context.strokeStyle = colour("--track");
  context.lineWidth = 2;
  context.beginPath();
  probabilities.forEach((probability, n) => {
    const time = Math.min((first + n) * HOP_SECONDS + WINDOW_SECONDS / 2, to);
    context.lineTo(x(time), y(probability));
    if (probabilities.length === 1) context.lineTo(x(time) + 3, y(probability));
  });
  context.stroke();
  context.strokeStyle = ink;
  context.lineWidth = 1.2;
  context.setLineDash([6, 4]);
  context.beginPath();
  context.moveTo(LEFT, y(threshold));
  context.lineTo(LEFT + inner, y(threshold));
  context.stroke();
  context.setLineDash([]);

  context.fillStyle = ink;
  context.textBaseline = "top";
  context.textAlign = "center";
  const most = Math.max(2, Math.min(6, Math.floor(inner / 70)));
  const step = STEPS.find((each) => (to - from) / each <= most) ?? 86_400;
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
    const text = clock(time).replace(/\.0$/, "");
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(x(time), width - half), lower.top + lower.height + 6);
  }
}

function image(columns) {
  const loudest = columns.reduce((most, column) => Math.max(most, ...column), BRIGHT);
  const canvas = Object.assign(document.createElement("canvas"), { width: columns.length, height: BANDS });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(columns.length, BANDS);
  columns.forEach((column, n) => {
    column.forEach((value, band) => {
      const place = (value / loudest) * (STOPS.length - 1);
      const below = Math.min(Math.floor(place), STOPS.length - 2);
      const at = ((BANDS - 1 - band) * columns.length + n) * 4;
      for (let part = 0; part < 3; part++) {
        const [low, high] = [STOPS[below][part], STOPS[below + 1][part]];
        pixels.data[at + part] = low + (high - low) * (place - below);
      }
      pixels.data[at + 3] = 255;
    });
  });
  context.putImageData(pixels, 0, 0);
  return canvas;
}
