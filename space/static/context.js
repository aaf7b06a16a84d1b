// The context network in integer arithmetic: from the student's embeddings of the last windows to the log-odds
// that a baby cries. Its receptive field is a fixed number of windows; those before the start are silence. The
// results are identical to those of yamnet_cry/model/context.py, to the last bit.

import { decoded } from "./student.js";

const LARGEST_STEP = 2 ** 15 - 1;

/** Starts a recording: returns a function from the embedding of the next window to its log-odds. */
export function listening(descriptions) {
  const layers = descriptions.map(layerOf);
  return (embedding) => {
    let values = embedding;
    for (const layer of layers) values = layer(values);
    return values[0];
  };
}

function layerOf(description, number, { length }) {
  const { taps, inputs, outputs, dilation } = description;
  const weights = decoded(description.weights, Int8Array);
  const multiplier = decoded(description.multiplier, Float32Array);
  const bias = decoded(description.bias, Float32Array);
  // The inputs of the last windows, oldest first.
  const past = Array.from({ length: (taps - 1) * dilation + 1 }, () => new Int16Array(inputs));
  const isLast = number === length - 1;
  return (embedding) => {
    const newest = past.shift();
    newest.set(embedding);
    past.push(newest);
    return Array.from({ length: outputs }, (_, output) => {
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) {
        const values = past[tap * dilation];
        const first = (output * taps + tap) * inputs;
        for (let n = 0; n < inputs; n++) sum += values[n] * weights[first + n];
      }
      // Each operation is rounded to float32.
      const value = Math.fround(Math.fround(Math.fround(sum) * multiplier[output]) + bias[output]);
      return isLast ? value : Math.min(Math.max(Math.floor(Math.fround(value + 0.5)), 0), LARGEST_STEP);
    });
  };
}
