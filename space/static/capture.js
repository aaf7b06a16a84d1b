// Runs on the browser's audio thread: passes a microphone's samples on, mixed to mono.

const BLOCK = 2048;

class Capture extends AudioWorkletProcessor {
  #block = new Float32Array(BLOCK);
  #filled = 0;
  #port = null;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => (this.#port = data);
  }

  process([channels]) {
    // There are no channels after the microphone was disconnected; the page detects that no samples arrive.
    for (let n = 0; n < (channels[0]?.length ?? 0); n++) {
      let sum = 0;
      for (const channel of channels) sum += channel[n];
      this.#block[this.#filled++] = sum / channels.length;
      if (this.#filled === BLOCK) {
        this.#port?.postMessage(this.#block, [this.#block.buffer]);
        this.#block = new Float32Array(BLOCK);
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
