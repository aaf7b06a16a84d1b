// Decodes a recording in the browser and scores it in a worker.

import { SAMPLE_RATE } from "./front-end.js";
import { duration } from "./words.js";

const MOST_MEGABYTES = 500;
const MOST_SECONDS = 3 * 3600;

/** A recording that cannot be scored; the message is shown to the user. */
export class Unheard extends Error {}

/** Returns the samples of a file, mono, at 16 kHz. */
async function decode(file) {
  if (file.size > MOST_MEGABYTES * 1e6) {
    throw new Unheard(`${file.name} is larger than ${MOST_MEGABYTES} MB, the limit of this page.`);
  }
  let buffer;
  try {
    // Resamples to the rate of the context.
    buffer = await new OfflineAudioContext(1, 1, SAMPLE_RATE).decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Unheard(`${file.name} cannot be decoded by this browser.`);
  }
  if (buffer.duration > MOST_SECONDS) {
    throw new Unheard(`${file.name} is longer than ${duration(MOST_SECONDS)}, the limit of this page.`);
  }
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, n) => buffer.getChannelData(n));
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, n) => channels.reduce((sum, channel) => sum + channel[n], 0) / channels.length);
}

/** Scores a file; returns its seconds, probabilities, and columns for a picture. */
export async function hear(file, onProgress, signal) {
  const samples = await decode(file);
  if (!samples.length) throw new Unheard(`${file.name} contains no audio.`);
  signal.throwIfAborted();
  const worker = new Worker("worker.js", { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      worker.onerror = (event) => reject(new Error(event.message || "the page was not loaded completely"));
      worker.onmessage = ({ data }) => {
        if (data.kind === "progress") onProgress(data.share);
        else if (data.kind === "heard") resolve(data);
        else if (data.kind === "failed") reject(new Error(data.reason));
      };
      worker.postMessage({ kind: "hear", samples }, samples.byteLength === samples.buffer.byteLength ? [samples.buffer] : []);
    });
  } finally {
    worker.terminate();
  }
}
