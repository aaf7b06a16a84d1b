// Sends the microphone from the audio thread directly to a worker. Neither waits for the page, so both continue
// when it is hidden.

/** Listens until `stop`. `onUpdate` gets the update of each window, `onProblem` an error message. */
export class Microphone {
  #worker;
  #number = 0;
  #closers = [];

  constructor(worker, { onUpdate, onProblem }) {
    this.#worker = worker;
    worker.addEventListener("message", ({ data }) => {
      if (data.kind === "failed" && this.context) onProblem(`Detection failed: ${data.reason}.`);
      if (data.number !== this.#number) return;
      if (data.kind === "update") onUpdate(data.update);
      if (data.kind === "stopped") this.#stopped?.(data.event);
    });
    this.onProblem = onProblem;
  }

  #stopped = null;

  /** Requests a microphone and listens; error messages are shown to the user. */
  async start(threshold) {
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio }).catch((error) => {
      throw new Error(refusals[error.name] ?? `The browser does not provide a microphone (${error.name}).`);
    });
    this.#closers.push(() => stream.getTracks().forEach((track) => track.stop()));
    const context = new AudioContext();
    this.context = context;
    this.#closers.push(() => context.close());
    try {
      await context.audioWorklet.addModule("capture.js");
    } catch (error) {
      await this.#close();
      throw error;
    }
    const capture = new AudioWorkletNode(context, "capture");
    const { port1, port2 } = new MessageChannel();
    capture.port.postMessage(port1, [port1]);
    capture.onprocessorerror = () => this.onProblem("The browser's audio failed. Start listening again.");
    this.#number++;
    const settings = { kind: "listen", sampleRate: context.sampleRate, threshold, number: this.#number };
    this.#worker.postMessage({ ...settings, port: port2 }, [port2]);
    // Nothing is played, but some browsers do not run unconnected nodes.
    context.createMediaStreamSource(stream).connect(capture).connect(context.destination);
    const [track] = stream.getAudioTracks();
    track.onended = () => this.onProblem("The microphone was disconnected, or another program uses it.");
    context.onstatechange = () => {
      if (context.state === "suspended" || context.state === "interrupted") context.resume();
    };
    await context.resume();
  }

  /** Stops; returns the ongoing event, or null. */
  async stop() {
    const ended = new Promise((resolve) => {
      this.#stopped = resolve;
      // A crashed worker never answers.
      setTimeout(resolve, 2000, null);
    });
    this.#worker.postMessage({ kind: "stop" });
    await this.#close();
    return ended;
  }

  async #close() {
    this.context = null;
    for (const close of this.#closers.splice(0)) await close();
  }
}

const refusals = {
  NotAllowedError: "The microphone is not allowed here. Allow it in the browser's settings for this page.",
  NotFoundError: "No microphone found.",
  NotReadableError: "The microphone is in use by another program.",
};
