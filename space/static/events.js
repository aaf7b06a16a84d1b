// From log-odds to probabilities, and from probabilities to events: a port of yamnet_cry/calibration.py and
// yamnet_cry/events.py, which give the reasons.

export const HOP_SECONDS = 0.48;
export const WINDOW_SECONDS = 0.96;

/** Returns the probability, in [0, 1], of calibrated log-odds. */
export function probability(logOdds, { slope, intercept }) {
  return 0.5 * (1 + Math.tanh(0.5 * (slope * logOdds + intercept)));
}

const hundredths = (seconds) => Math.round(seconds * 100) / 100;
const secondsOf = (window, after = 0) => hundredths(window * HOP_SECONDS + after);

/** Finds events in a stream of probabilities, one per window. */
export class EventTracker {
  #count = 0;
  #recent = [];
  #votes = [];
  #begin = null;
  #last = 0;
  #peak = 0;
  #sum = 0;
  #pendingPeak = 0;
  #pendingSum = 0;

  /** `settings` are those of a model's config.json: smoothing, votes, window, release, hold_seconds. */
  constructor(threshold, settings) {
    this.threshold = threshold;
    this.settings = settings;
  }

  /** Start of the ongoing event, in seconds, or null. */
  get start() {
    return this.#begin === null ? null : secondsOf(this.#begin);
  }

  /** Processes the next probability; returns the event that ended, or null. */
  push(value) {
    const { smoothing, votes, window, release, hold_seconds } = this.settings;
    const number = this.#count++;
    this.#recent = [...this.#recent, value].slice(-smoothing);
    const average = this.#recent.reduce((a, b) => a + b, 0) / this.#recent.length;
    this.#votes = [...this.#votes, [value, average >= this.threshold]].slice(-window);
    if (this.#begin === null) {
      this.#maybeStart(number, votes);
      return null;
    }
    this.#pendingPeak = Math.max(this.#pendingPeak, value);
    this.#pendingSum += value;
    if (average >= this.threshold * release) this.#extend(number);
    else if ((number - this.#last) * HOP_SECONDS > hold_seconds) return this.finish();
    return null;
  }

  /** Ends the track of an audio of `seconds`; returns the ongoing event, or null. */
  finish(seconds = Infinity) {
    if (this.#begin === null && this.#count > 0 && this.#count < this.settings.votes) {
      this.#maybeStart(this.#count - 1, this.#count);
    }
    if (this.#begin === null) return null;
    const isPadded = secondsOf(this.#count - 1, WINDOW_SECONDS) > seconds;
    let end = secondsOf(this.#count - 1, WINDOW_SECONDS);
    if (this.#last < this.#count - (isPadded ? 2 : 1)) {
      const middle = (WINDOW_SECONDS - (this.settings.smoothing - 1) * HOP_SECONDS) / 2;
      end = Math.max(secondsOf(this.#last, middle), secondsOf(this.#begin, HOP_SECONDS));
    }
    const event = {
      start: this.start,
      end: Math.min(end, hundredths(seconds)),
      peak: this.#peak,
      mean: this.#sum / (this.#last - this.#begin + 1),
    };
    this.#begin = null;
    this.#votes = [];
    return event;
  }

  #maybeStart(number, votes) {
    if (this.#votes.filter(([, vote]) => vote).length < votes) return;
    const first = this.#votes.findIndex(([, vote]) => vote);
    const values = this.#votes.slice(first).map(([value]) => value);
    this.#begin = number - (values.length - 1);
    this.#peak = this.#sum = 0;
    this.#pendingPeak = Math.max(...values);
    this.#pendingSum = values.reduce((a, b) => a + b, 0);
    this.#extend(number);
  }

  #extend(number) {
    this.#last = number;
    this.#peak = Math.max(this.#peak, this.#pendingPeak);
    this.#sum += this.#pendingSum;
    this.#pendingPeak = this.#pendingSum = 0;
  }
}

/** Returns the events of a whole track. */
export function findEvents(probabilities, threshold, settings, seconds) {
  const tracker = new EventTracker(threshold, settings);
  const ended = Array.from(probabilities, (value) => tracker.push(value));
  return [...ended, tracker.finish(seconds)].filter(Boolean);
}

/** Returns the highest threshold at which a track raises an event. */
export function highestThreshold(probabilities, { smoothing, votes, window }) {
  const averages = Array.from(probabilities, (_, n) => {
    const recent = probabilities.slice(Math.max(0, n - smoothing + 1), n + 1);
    return recent.reduce((a, b) => a + b, 0) / recent.length;
  });
  if (averages.length < votes) return Math.min(...averages);
  let highest = 0;
  for (let n = votes; n <= averages.length; n++) {
    const last = averages.slice(Math.max(0, n - window), n).sort((a, b) => b - a);
    highest = Math.max(highest, last[votes - 1]);
  }
  return highest;
}
