// The INT8 student in whole numbers: sums are exact, scaled by one float32 a channel and rounded to the nearest
// step, halves to even, as XNNPACK does it, on which the Python package runs. Activations are steps less their
// zero point, so that padding is zero. The Python package makes the layers, see yamnet_cry/browser/network.py.

/** Returns the array that a text holds in base64, little-endian, as all browsers' machines are. */
export function decoded(text, Kind) {
  return new Kind(Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer);
}

// Added and taken away again, it leaves a double of no fraction, rounded as IEEE 754 says.
const ROUNDING = 1.5 * 2 ** 52;

/** Rounds to the nearest whole number, halves to even. */
export const rounded = (value) => value + ROUNDING - ROUNDING;

const KINDS = { convolution, depthwise, mean };

/** Returns a function from a patch, steps less their zero point, to the last layer's output, the same. */
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

/** Calls `visit` for each place of the kernel that lies in the input, of the output's row and column. */
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
        // What lies under the kernel in one piece, zeros where it reaches over the edge.
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
