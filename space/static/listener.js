// From samples to windows, like yamnet_cry/streaming.py.

import { listening } from "./context.js";
import { EventTracker, HOP_SECONDS, WINDOW_SECONDS, probability } from "./events.js";
import { BANDS, COLUMN_FRAMES, FRAME, HOP, LOG_OFFSET, SAMPLE_RATE, logMel } from "./front-end.js";
import { Resampler } from "./resampler.js";
import { rounded, student } from "./student.js";

const PATCH_FRAMES = 96;
const PATCH_HOP = 48;
const PATCH_SAMPLES = (PATCH_FRAMES - 1) * HOP + FRAME;
const HOP_SAMPLES = PATCH_HOP * HOP;
const SILENCE_DBFS = -100;

// Columns are bytes: 0 is silence, and 255 is 12 nepers above it, the maximum.
const DARKEST = Math.log(LOG_OFFSET);
const BYTES_PER_NEPER = 255 / 12;

/** Scores a stream of audio. Updates have time, probability, level, crying, started, finished and columns. */
export class Listener {
  #samples = new Float32Array(PATCH_SAMPLES);
  #filled = 0;
  #windows = 0;
  #received = 0;
  #logMel = new Float32Array(PATCH_FRAMES * BANDS);
  #patch = new Int16Array(PATCH_FRAMES * BANDS);

  constructor(model, sampleRate, threshold = model.threshold) {
    this.model = model;
    this.tracker = new EventTracker(threshold, model.events);
    this.resampler = new Resampler(sampleRate);
    this.student = student(model.layers);
    this.logOdds = model.context ? listening(model.context) : (logits) => logOddsOf(logits, model.score);
  }

  /** Seconds of audio received so far. */
  get seconds() {
    return this.#received / SAMPLE_RATE;
  }

  /** Processes the next mono samples; returns an update for each complete window. */
  push(part) {
    return this.#take(this.resampler.push(part));
  }

  /** Ends the audio: returns the updates of the last windows and the ongoing event, or null. */
  finish() {
    const updates = this.#take(this.resampler.finish());
    if (!this.#windows || this.#filled > PATCH_SAMPLES - HOP_SAMPLES) {
      this.#samples.fill(0, this.#filled);
      updates.push(this.#hear());
    }
    return { updates, event: this.tracker.finish(this.seconds) };
  }

  #take(samples) {
    const updates = [];
    this.#received += samples.length;
    for (let at = 0; at < samples.length; ) {
      const part = samples.subarray(at, at + PATCH_SAMPLES - this.#filled);
      this.#samples.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === PATCH_SAMPLES) updates.push(this.#hear());
    }
    return updates;
  }

  /** Scores the complete window and makes room for the next. */
  #hear() {
    // The first half of a window is the second half of the previous one.
    const known = this.#windows ? PATCH_HOP : 0;
    this.#logMel.copyWithin(0, PATCH_HOP * BANDS);
    this.#patch.copyWithin(0, PATCH_HOP * BANDS);
    for (let frame = known; frame < PATCH_FRAMES; frame++) {
      logMel(this.#samples, frame * HOP, this.#logMel, frame * BANDS);
    }
    this.#quantize(known * BANDS);
    const update = {
      time: Math.round((this.#windows * HOP_SECONDS + WINDOW_SECONDS) * 100) / 100,
      probability: probability(this.logOdds(this.student(this.#patch)), this.model.calibration),
      level: level(this.#samples.subarray(PATCH_SAMPLES - HOP_SAMPLES)),
      columns: columns(this.#logMel.subarray(known * BANDS)),
    };
    const before = this.tracker.start;
    update.finished = this.tracker.push(update.probability);
    update.crying = this.tracker.start !== null;
    update.started = before === null ? this.tracker.start : null;
    this.#samples.copyWithin(0, HOP_SAMPLES);
    this.#filled = PATCH_SAMPLES - HOP_SAMPLES;
    this.#windows++;
    return update;
  }

  #quantize(from) {
    const { steps_per_neper, zero_point } = this.model.input;
    for (let n = from; n < this.#patch.length; n++) {
      const steps = rounded(Math.fround(this.#logMel[n] * steps_per_neper));
      this.#patch[n] = Math.min(Math.max(steps, -128 - zero_point), 127 - zero_point);
    }
  }
}

function level(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.max(SILENCE_DBFS, 10 * Math.log10(sum / samples.length));
}

function columns(logMels) {
  const found = new Uint8Array(logMels.length / COLUMN_FRAMES);
  for (let n = 0; n < logMels.length; n++) {
    const at = Math.floor(n / (COLUMN_FRAMES * BANDS)) * BANDS + (n % BANDS);
    const value = (logMels[n] - DARKEST) * BYTES_PER_NEPER;
    found[at] = Math.max(found[at], Math.min(255, value));
  }
  return found;
}

/** The log-odds of the summed softmax of a group of classes, for models without a context network. */
function logOddsOf(logits, { step, group }) {
  const largest = Math.max(...logits);
  const exponentials = Array.from(logits, (logit) => Math.exp((logit - largest) * step));
  const all = exponentials.reduce((a, b) => a + b);
  const score = group.reduce((sum, number) => sum + exponentials[number], 0) / all;
  const clipped = Math.min(Math.max(score, 1e-6), 1 - 1e-6);
  return Math.log(clipped) - Math.log1p(-clipped);
}
