// Runs detection in a separate thread, so that the page stays responsive and detection continues in the background.

import { Listener } from "./listener.js";
import { SAMPLE_RATE } from "./front-end.js";

const model = fetch("model.json").then((answer) => {
  if (!answer.ok) throw new Error(`model.json: HTTP ${answer.status}`);
  return answer.json();
});

let live = null;

const jobs = {
  /** Scores a whole recording, at 16 kHz. */
  async hear({ samples }) {
    const listener = new Listener(await model, SAMPLE_RATE);
    const updates = [];
    const piece = 30 * SAMPLE_RATE;
    for (let at = 0; at < samples.length; at += piece) {
      updates.push(...listener.push(samples.subarray(at, at + piece)));
      postMessage({ kind: "progress", share: Math.min(1, (at + piece) / samples.length) });
    }
    updates.push(...listener.finish().updates);
    postMessage({
      kind: "heard",
      seconds: listener.seconds,
      probabilities: updates.map((update) => update.probability),
      columns: updates.map((update) => update.columns),
    });
  },

  /** Scores a microphone's samples, which arrive from the audio thread through a port. */
  async listen({ port, sampleRate, threshold, number }) {
    live = { listener: new Listener(await model, sampleRate, threshold), number, port };
    const { listener } = live;
    port.onmessage = ({ data }) => {
      for (const update of listener.push(data)) postMessage({ kind: "update", number, update });
    };
  },

  threshold({ threshold }) {
    if (live) live.listener.tracker.threshold = threshold;
  },

  /** Ends the microphone's audio. */
  stop() {
    if (!live) return;
    const { listener, number, port } = live;
    live = null;
    port.close();
    const { updates, event } = listener.finish();
    for (const update of updates) postMessage({ kind: "update", number, update });
    postMessage({ kind: "stopped", number, event });
  },
};

self.onmessage = async ({ data }) => {
  try {
    await jobs[data.kind](data);
  } catch (error) {
    postMessage({ kind: "failed", reason: error.message });
  }
};

model.then(
  ({ threshold, calibration, events, kilobytes }) =>
    postMessage({ kind: "ready", model: { threshold, calibration, events, kilobytes } }),
  (error) => postMessage({ kind: "failed", reason: error.message }),
);
