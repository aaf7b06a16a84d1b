// Runs on the browser's audio thread: passes a microphone's samples on, its channels mixed to one.

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
    // Without channels there is no microphone any more; the page notices that nothing comes.
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
