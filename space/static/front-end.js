// YAMNet's log-mel front end: frames of 400 samples at 16 kHz, one every 160 samples, to 64 values in nepers.
// Window, spectrum and bands are rounded to float32 where the Python package rounds them.

export const SAMPLE_RATE = 16_000;
export const HOP = 160;
export const FRAME = 400;
export const BANDS = 64;
export const LOG_OFFSET = 0.001;

/** Number of frames per column of a picture, which shows their maximum. */
export const COLUMN_FRAMES = 6;

const FFT = 512;
const HALF = FFT / 2;
const [LOWEST_HZ, HIGHEST_HZ] = [125, 7500];

const toMel = (hertz) => 1127 * Math.log1p(hertz / 700);

const WINDOW = Float32Array.from({ length: FRAME }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / FRAME));

// exp(-2 pi i k / 512): twiddle factors of the complex FFT of 256 points, which uses every second of them, and of
// the step from it to the real FFT of 512 points.
const COS = Float64Array.from({ length: HALF }, (_, k) => Math.cos((2 * Math.PI * k) / FFT));
const SIN = Float64Array.from({ length: HALF }, (_, k) => -Math.sin((2 * Math.PI * k) / FFT));

const REVERSED = Uint8Array.from({ length: HALF }, (_, n) => {
  let reversed = 0;
  for (let bit = 0; bit < 8; bit++) reversed |= ((n >> bit) & 1) << (7 - bit);
  return reversed;
});

/** Returns the position of a frequency on the mel axis, in bands. */
export function bandOf(hertz) {
  const [low, high] = [toMel(LOWEST_HZ), toMel(HIGHEST_HZ)];
  return ((toMel(hertz) - low) / (high - low)) * (BANDS + 1) - 0.5;
}

// Triangular filters on the mel axis: first bin and weights of each band.
const FILTERS = Array.from({ length: BANDS }, (_, band) => {
  const [low, high] = [toMel(LOWEST_HZ), toMel(HIGHEST_HZ)];
  const edge = (number) => low + (number * (high - low)) / (BANDS + 1);
  const weights = Float32Array.from({ length: HALF + 1 }, (_, bin) => {
    const mel = toMel((bin * SAMPLE_RATE) / FFT);
    const rising = (mel - edge(band)) / (edge(band + 1) - edge(band));
    const falling = (edge(band + 2) - mel) / (edge(band + 2) - edge(band + 1));
    return bin ? Math.max(0, Math.min(rising, falling)) : 0;
  });
  const first = weights.findIndex((weight) => weight > 0);
  const last = weights.findLastIndex((weight) => weight > 0);
  return { first, weights: weights.slice(first, last + 1) };
});

const re = new Float64Array(HALF);
const im = new Float64Array(HALF);
const magnitude = new Float32Array(HALF + 1);

/** Writes the log-mel values of the frame that starts at sample `start` to `out`, from index `at`. */
export function logMel(samples, start, out, at) {
  const padded = (n) => (n < FRAME ? Math.fround(samples[start + n] * WINDOW[n]) : 0);
  for (let n = 0; n < HALF; n++) {
    // Even samples are the real part, odd samples the imaginary part.
    re[REVERSED[n]] = padded(2 * n);
    im[REVERSED[n]] = padded(2 * n + 1);
  }
  transform();
  for (let k = 0; k <= HALF; k++) {
    const [here, there] = [k % HALF, (HALF - k) % HALF];
    const evenRe = (re[here] + re[there]) / 2;
    const evenIm = (im[here] - im[there]) / 2;
    const oddRe = (im[here] + im[there]) / 2;
    const oddIm = (re[there] - re[here]) / 2;
    const [cos, sin] = k < HALF ? [COS[k], SIN[k]] : [-1, 0];
    const real = Math.fround(evenRe + cos * oddRe - sin * oddIm);
    const imaginary = Math.fround(evenIm + cos * oddIm + sin * oddRe);
    magnitude[k] = Math.sqrt(real * real + imaginary * imaginary);
  }
  for (let band = 0; band < BANDS; band++) {
    const { first, weights } = FILTERS[band];
    let sum = 0;
    for (let n = 0; n < weights.length; n++) sum += weights[n] * magnitude[first + n];
    out[at + band] = Math.log(Math.fround(Math.fround(sum) + Math.fround(LOG_OFFSET)));
  }
}

/** FFT of re and im in place; the input is in bit-reversed order. */
function transform() {
  for (let size = 2; size <= HALF; size *= 2) {
    const step = FFT / size;
    for (let begin = 0; begin < HALF; begin += size) {
      for (let n = 0; n < size / 2; n++) {
        const upper = begin + n;
        const lower = upper + size / 2;
        const cos = COS[n * step];
        const sin = SIN[n * step];
        const real = re[lower] * cos - im[lower] * sin;
        const imaginary = re[lower] * sin + im[lower] * cos;
        re[lower] = re[upper] - real;
        im[lower] = im[upper] - imaginary;
        re[upper] += real;
        im[upper] += imaginary;
      }
    }
  }
}
