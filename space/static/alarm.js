// The alarm: tones, a notification, and a lock that keeps the screen on.

/** Plays two tones, three times. */
export function sound(context) {
  for (let n = 0; n < 6; n++) {
    const start = context.currentTime + 0.05 + n * 0.35;
    const [tone, volume] = [new OscillatorNode(context, { frequency: n % 2 ? 660 : 880 }), new GainNode(context)];
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(0.5, start + 0.02);
    volume.gain.setValueAtTime(0.5, start + 0.25);
    volume.gain.linearRampToValueAtTime(0, start + 0.3);
    tone.connect(volume).connect(context.destination);
    tone.start(start);
    tone.stop(start + 0.31);
  }
}

/** Requests permission to show notifications; returns an error message, empty if granted. */
export async function allowed() {
  if (!("Notification" in window)) return "This browser shows no notifications; on an iPhone, install the page first.";
  if ((await Notification.requestPermission()) === "granted") return "";
  return "Notifications are not allowed here. Allow them in the browser's settings for this page.";
}

/** Shows a notification; vibrates if the device supports it. */
export async function notify(title, body) {
  const options = { body, icon: "icon-192.png", tag: "cry", renotify: true, vibrate: [400, 200, 400] };
  const registration = await navigator.serviceWorker?.getRegistration();
  // On phones, only a service worker may show notifications.
  if (registration?.active) await registration.showNotification(title, options);
  else new Notification(title, options);
}

let lock = null;

/** Keeps the screen on while the page is in front, or stops doing so. */
export async function keepAwake(wanted) {
  if (!wanted) {
    await lock?.release();
    lock = null;
  } else if (document.visibilityState === "visible" && (!lock || lock.released)) {
    // Refused at low battery and not supported by old browsers; detection does not depend on it.
    lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
  }
}
