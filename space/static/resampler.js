// Resamples a stream from any rate to 16 kHz: one windowed sinc per phase of the ratio of the rates. The response
// is flat up to 7500 Hz, where the front end's bands end; aliases there are attenuated by 90 dB.

import { SAMPLE_RATE } from "./front-end.js";

const LOBES = 48; // zero crossings on each side
const BETA = 9; // of the Kaiser window

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

function bessel(x) {
  let [sum, term] = [1, 1];
  for (let n = 1; term > 1e-12 * sum; n++) sum += term *= (x / (2 * n)) ** 2;
  return sum;
}

function kernel(rate, offset, reach) {
  // The cutoff is half of the lower rate; `offset` is the distance of the output from the middle sample.
  const share = Math.min(1, SAMPLE_RATE / rate);
  const width = LOBES / share;
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, n) => {
    const distance = n - reach - offset;
    const inside = 1 - (distance / width) ** 2;
    if (inside <= 0) return 0;
    const angle = Math.PI * share * distance;
    const sinc = angle ? Math.sin(angle) / angle : 1;
    return (sinc * bessel(BETA * Math.sqrt(inside))) / bessel(BETA);
  });
  const total = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / total);
}

export class Resampler {
  #samples = new Float32Array(0);
  #next = 0; // number of the next output sample
  #first = 0; // number of the first stored sample
  #kernels = new Map();

  constructor(rate) {
    this.rate = rate;
    const common = divisor(rate, SAMPLE_RATE);
    this.up = SAMPLE_RATE / common;
    this.down = rate / common;
    this.reach = Math.ceil(LOBES * Math.max(1, rate / SAMPLE_RATE)) + 1;
    // Silence before the start of the stream.
    if (rate !== SAMPLE_RATE) this.#samples = new Float32Array(this.reach);
    this.#first = -this.reach;
  }

  /** Processes the next samples; returns the samples at 16 kHz that can be computed so far. */
  push(part) {
    if (this.rate === SAMPLE_RATE) return part;
    const samples = new Float32Array(this.#samples.length + part.length);
    samples.set(this.#samples);
    samples.set(part, this.#samples.length);
    const found = [];
    for (;;) {
      const middle = Math.floor((this.#next * this.down) / this.up);
      const begin = middle - this.reach - this.#first;
      if (begin + 2 * this.reach + 1 > samples.length) {
        // At very high rates, the kernel of the next output may start after the stored samples.
        const kept = Math.min(begin, samples.length);
        this.#samples = samples.slice(kept);
        this.#first += kept;
        return Float32Array.from(found);
      }
      const weights = this.#kernel((this.#next * this.down) % this.up);
      let sum = 0;
      for (let n = 0; n < weights.length; n++) sum += samples[begin + n] * weights[n];
      found.push(sum);
      this.#next++;
    }
  }

  /** Ends the audio; returns the last samples. */
  finish() {
    if (this.rate === SAMPLE_RATE) return new Float32Array(0);
    return this.push(new Float32Array(this.reach));
  }

  #kernel(phase) {
    if (!this.#kernels.has(phase)) this.#kernels.set(phase, kernel(this.rate, phase / this.up, this.reach));
    return this.#kernels.get(phase);
  }
}
