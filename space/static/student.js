// The INT8 student in integer arithmetic: sums are exact, scaled by one float32 per channel and rounded to the
// nearest step, half to even, like XNNPACK, which the Python package uses. The zero point is subtracted from
// activations, so that padding is zero. The layers are written by yamnet_cry/browser/network.py.

/** Decodes base64 to an array; little-endian, like all machines that run browsers. */
export function decoded(text, Kind) {
  return new Kind(Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer);
}

// Adding and subtracting it rounds a double to a whole number, as specified by IEEE 754.
const ROUNDING = 1.5 * 2 ** 52;

/** Rounds to the nearest whole number, half to even. */
export const rounded = (value) => value + ROUNDING - ROUNDING;

const KINDS = { convolution, depthwise, mean };

/** Returns a function from a patch to the output of the last layer, both with their zero point subtracted. */
export function student(layers) {
  const steps = layers.map((layer) => {
    const output = new Int16Array(layer.output.reduce((a, b) => a * b));
    const compute = KINDS[layer.kind](layer);
    return (input) => {
      compute(input, output);
      return output;
    };
  });
  return (patch) => steps.reduce((values, step) => step(values), patch);
}

function scaled(sum, multiplier, lowest, highest) {
  const steps = rounded(Math.fround(Math.fround(sum) * multiplier));
  return steps < lowest ? lowest : steps > highest ? highest : steps;
}

function numbers(layer) {
  return {
    ...layer,
    weights: decoded(layer.weights, Int8Array),
    bias: decoded(layer.bias, Int32Array),
    multiplier: decoded(layer.multiplier, Float32Array),
  };
}

/** Calls `visit` for each position of the kernel inside the input, for an output's row and column. */
function inside(layer, row, column, visit) {
  const [height, width] = layer.input;
  const top = row * layer.stride[0] - layer.padding[0];
  const left = column * layer.stride[1] - layer.padding[1];
  for (let y = Math.max(0, -top); y < layer.kernel[0] && top + y < height; y++) {
    for (let x = Math.max(0, -left); x < layer.kernel[1] && left + x < width; x++) {
      visit((top + y) * width + left + x, y * layer.kernel[1] + x);
    }
  }
}

function convolution(description) {
  const layer = numbers(description);
  const { weights, bias, multiplier, lowest, highest } = layer;
  const inputs = layer.input[2];
  const [rows, columns, outputs] = layer.output;
  const size = layer.kernel[0] * layer.kernel[1] * inputs;
  const under = new Int16Array(size);
  return (input, output) => {
    for (let row = 0, at = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        // The input under the kernel, contiguous, with zeros outside the edges.
        under.fill(0);
        inside(layer, row, column, (pixel, place) => {
          for (let c = 0; c < inputs; c++) under[place * inputs + c] = input[pixel * inputs + c];
        });
        for (let channel = 0, weight = 0; channel < outputs; channel++) {
          let sum = bias[channel];
          for (let n = 0; n < size; n++) sum = (sum + under[n] * weights[weight++]) | 0;
          output[at++] = scaled(sum, multiplier[channel], lowest, highest);
        }
      }
    }
  };
}

function depthwise(description) {
  const layer = numbers(description);
  const { weights, bias, multiplier, lowest, highest } = layer;
  const [rows, columns, channels] = layer.output;
  const sums = new Int32Array(channels);
  return (input, output) => {
    for (let row = 0, at = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        sums.set(bias);
        inside(layer, row, column, (pixel, place) => {
          for (let c = 0; c < channels; c++) sums[c] += input[pixel * channels + c] * weights[place * channels + c];
        });
        for (let c = 0; c < channels; c++) output[at++] = scaled(sums[c], multiplier[c], lowest, highest);
      }
    }
  };
}

function mean(layer) {
  const [height, width, channels] = layer.input;
  const [multiplier] = decoded(layer.multiplier, Float32Array);
  return (input, output) => {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let pixel = 0; pixel < height * width; pixel++) sum += input[pixel * channels + c];
      output[c] = scaled(sum, multiplier, layer.lowest, layer.highest);
    }
  };
}
