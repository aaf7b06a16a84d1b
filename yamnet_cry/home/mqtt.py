"""Publishes to an MQTT broker, for Home Assistant and others, and receives commands to mute from it."""

import itertools
import json
import math
import queue
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from yamnet_cry.errors import OutletError
from yamnet_cry.home import discovery
from yamnet_cry.home.broker import PASSWORD_VARIABLE, parse_broker, slug
from yamnet_cry.home.discovery import OFFLINE, ONLINE, Topics

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

# After one and a half times this without a packet, the broker publishes the last will.
_KEEPALIVE_SECONDS = 30

# A connection that lasted this long was good: after it, the retry interval starts again.
_GOOD_SECONDS = 10.0

# Home Assistant's birth message, the same for all discovery prefixes.
_BIRTH = "homeassistant/status"


@dataclass
class _Session:
    """A connection, from the attempt to its end.

    Later callbacks of its client are recognised by this object, and ignored.
    """

    client: "Client"
    since: float | None = None
    over: bool = False
    # Unacknowledged messages by ID: the number of an event, or None for any other message.
    sent: dict[int, int | None] = field(default_factory=dict)

    @property
    def up(self) -> bool:
        """Whether messages can be published."""
        return self.since is not None and not self.over


class Mqtt:
    """Publishes messages of sources, and lets Home Assistant discover them as devices.

    One thread processes messages, the client's callbacks and `close` in order of arrival, so that `push`
    never blocks, and no error is lost in a callback. Each connection has a separate client. Events are queued
    here, not in the client, until they are acknowledged: they are sent in order, and once, unless the
    connection breaks between an event and its acknowledgement.

    Args:
        address: Address of the broker, see `parse_broker`.
        sources: Names of the sources.
        warn: Called from the thread with a sentence after a failure, and after recovery.
        on_mute: Called from the thread with a source, or None for all, and the minutes to mute it, in
            (0, 1440], or 0 to unmute it.
        retry_seconds: The pause after the first failed attempt to connect, and the longest one; it doubles.
        most_waiting: Number of events kept without a connection; beyond it, the oldest are dropped.

    Raises:
        OutletError: If the address is invalid, two sources would have the same topics, or paho-mqtt is not
            installed.
    """

    def __init__(
        self,
        address: str,
        sources: Sequence[str],
        warn: Callable[[str], object],
        *,
        on_mute: Callable[[str | None, float], object],
        retry_seconds: tuple[float, float] = (1.0, 120.0),
        most_waiting: int = 100,
    ) -> None:
        try:
            import paho.mqtt.client  # noqa: F401
        except ImportError:
            raise OutletError('an MQTT broker needs: pip install "yamnet-cry[mqtt]"') from None
        self._broker = parse_broker(address)
        # Read once: while the package is upgraded, its version cannot be read.
        self._version = version("yamnet-cry")
        by_slug: dict[str, str] = {}
        for source in sources:
            if (other := by_slug.get(slug(source))) is not None:
                raise OutletError(
                    f"sources {other!r} and {source!r} have the same MQTT name, {slug(source)}; rename one"
                )
            by_slug[slug(source)] = source
        self._topics = {source: Topics.of(self._broker, source) for source in sources}
        self._commands: dict[str, str | None] = {topics.mute: name for name, topics in self._topics.items()}
        self._commands[f"{self._broker.root}/mute/set"] = None
        self._births = {_BIRTH, f"{self._broker.discovery}/status"}
        self._warn, self._on_mute = warn, on_mute
        self._retry_seconds, self._most_waiting = retry_seconds, most_waiting
        self._states = {source: {"source": source, **discovery.UNKNOWN, "reason": None} for source in sources}
        # Topic and payload of unacknowledged events by number, oldest first.
        self._events: dict[int, tuple[str, str]] = {}
        self._numbers = itertools.count()
        self._dropped = self._dropped_before = 0
        self._told: set[str] = set()
        self._deadline = math.inf
        self._session: _Session | None = None
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._work, name="mqtt", daemon=True)
        self._worker.start()

    def push(self, message: Mapping[str, Any]) -> None:
        """Queues a message of any kind, from any thread, without blocking."""
        if self._deadline == math.inf:
            self._inbox.put(partial(self._take, dict(message)))

    def close(self, seconds: float) -> None:
        """Sends queued events within a time limit in seconds, publishes ``offline``, and disconnects."""
        if self._deadline < math.inf:
            return
        self._deadline = time.monotonic() + seconds
        self._inbox.put(lambda: None)  # wakes the thread, after everything that was pushed before
        self._worker.join(seconds + 1.0)
        if self._events:
            self._say(f"{_events(len(self._events))} could not be sent before exit")

    # The thread: one connection after the other.

    def _work(self) -> None:
        delay, longest = self._retry_seconds
        while not self._finished():
            try:
                good = self._connection() >= _GOOD_SECONDS
            except ssl.SSLCertVerificationError as error:
                why = f"its certificate is not trusted ({error.verify_message}); set its CA with ?ca=FILE"
                good = self._fail("certificate", why)
            except OSError as error:
                good = self._fail("away", f"cannot be reached ({error.strerror or error}); trying again")
            except Exception as error:
                good = self._fail(repr(error), f"cannot be reached ({error!r}); trying again")
            if good:
                delay = self._retry_seconds[0]
            if self._closing:
                self._attend(self._finished, self._retry_seconds[0])
            else:
                self._attend(lambda: self._closing, delay)
                delay = min(2 * delay, longest)
        # Events that came too late to be sent are counted with the other unsent ones.
        while not self._inbox.empty():
            self._do(self._inbox.get())

    def _connection(self) -> float:
        """Connects and serves until the connection or the program ends; returns seconds connected."""
        session = self._session = _Session(self._client())
        try:
            session.client.connect(self._broker.host, self._broker.port, _KEEPALIVE_SECONDS)
            session.client.loop_start()
            self._attend(lambda: session.over or self._flushed(session))
            if session.since is None:
                return 0.0
            if not session.over:
                # Sent after everything else, and before the disconnection, which revokes the last will.
                self._publish(self._broker.process, OFFLINE)
            return time.monotonic() - session.since
        finally:
            session.over = True
            session.client.disconnect()
            session.client.loop_stop()
            _free(session.client)

    def _attend(self, until: Callable[[], bool], seconds: float = math.inf) -> None:
        """Runs queued tasks until a condition holds, or the time limit or that of `close` is over."""
        end = time.monotonic() + seconds
        while not until() and (left := min(end, self._deadline) - time.monotonic()) > 0:
            try:
                task = self._inbox.get(timeout=min(left, 60.0))
            except queue.Empty:
                continue
            self._do(task)

    def _do(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:
            self._say(f"internal error: {error!r}")

    @property
    def _closing(self) -> bool:
        return self._deadline < math.inf

    def _finished(self) -> bool:
        """Whether to stop connecting: closing, with nothing left to send or no time left."""
        waiting = bool(self._events) or not self._inbox.empty()
        return self._closing and (not waiting or time.monotonic() >= self._deadline)

    def _flushed(self, session: _Session) -> bool:
        return self._closing and session.up and not session.sent and self._inbox.empty()

    def _client(self) -> "Client":
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        # Always the same client ID: a broker that has not noticed a broken connection closes it when the new
        # one arrives, so that its last will cannot be published later, while this program is connected.
        client = Client(
            CallbackAPIVersion.VERSION2, f"yamnet-cry-{self._broker.node}", reconnect_on_failure=False
        )
        client.max_inflight_messages_set(0)  # no limit: events are counted here
        client.will_set(self._broker.process, OFFLINE, qos=1, retain=True)
        if self._broker.user is not None:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.tls is not None:
            client.tls_set_context(self._broker.tls)

        # Callbacks run on the client's thread, where an error would be lost.
        def forward(task: Callable[..., None], *values: Any) -> None:
            self._inbox.put(partial(self._for_session, client, task, *values))

        client.on_connect = lambda _client, _data, _flags, reason, _more: forward(self._connected, reason)
        client.on_disconnect = lambda _client, _data, _flags, reason, _more: forward(self._lost, str(reason))
        client.on_publish = lambda _client, _data, mid, _reason, _more: forward(self._acknowledged, mid)
        client.on_subscribe = lambda _client, _data, _mid, reasons, _more: forward(self._subscribed, reasons)
        client.on_message = lambda _client, _data, message: forward(self._received, message)
        loop = client.loop_forever

        def watched(*arguments: Any, **named: Any) -> Any:
            try:
                return loop(*arguments, **named)
            except Exception as error:
                forward(self._lost, repr(error))

        client.loop_forever = watched  # type: ignore[method-assign]
        return client

    # Callbacks of the client, on this object's thread.

    def _for_session(self, client: "Client", task: Callable[..., None], *values: Any) -> None:
        session = self._session
        if session is not None and session.client is client and not session.over:
            task(session, *values)

    def _connected(self, session: _Session, reason: "ReasonCode") -> None:
        if reason.is_failure:
            session.over = True
            why = f"refused the connection: {str(reason).lower()}"
            if self._broker.user is not None:
                why += f"; check user and password, which may be in the address or in {PASSWORD_VARIABLE}"
            self._fail(str(reason), why)
            return
        session.since = time.monotonic()
        session.client.subscribe([(topic, 1) for topic in (*self._commands, *self._births)])
        self._announce()
        for number in self._events:
            self._send(session, number)
        if self._told:
            lost = self._dropped - self._dropped_before
            self._say("connected" + (f"; {_events(lost)} dropped in the meantime" if lost else ""))
        self._dropped_before = self._dropped
        self._told.clear()

    def _lost(self, session: _Session, reason: str) -> None:
        session.over = True
        if session.since is None:
            self._fail("away", f"closed the connection during the handshake ({reason}); trying again")
            return
        soon = time.monotonic() - session.since < _GOOD_SECONDS
        hint = ". If another yamnet-cry of this name is connected, give each its own ?node=" if soon else ""
        self._fail("away", f"lost the connection ({reason}); trying again{hint}")

    def _acknowledged(self, session: _Session, mid: int) -> None:
        number = session.sent.pop(mid, None)
        if number is not None:
            self._events.pop(number, None)

    def _subscribed(self, _session: _Session, reasons: "Sequence[ReasonCode]") -> None:
        if any(reason.is_failure for reason in reasons):
            self._say("denies this user some subscriptions: muting will not work")

    def _received(self, _session: _Session, message: "MQTTMessage") -> None:
        # A retained command is old and must not mute. A retained birth message of Home Assistant is not
        # needed, because everything was announced when connecting.
        if message.retain:
            return
        text = message.payload.decode(errors="replace")
        if message.topic in self._births:
            if text == ONLINE:
                self._announce()
            return
        minutes = discovery.minutes(text)
        if message.topic not in self._commands or minutes is None:
            self._say(f"expected ON, OFF or 0 to 1440 minutes. Received on {message.topic}: {text[:40]!r}")
            return
        self._on_mute(self._commands[message.topic], minutes)

    # Messages of sources.

    def _take(self, message: dict[str, Any]) -> None:
        source, kind = message["source"], message["event"]
        topics, state = self._topics[source], self._states[source]
        if kind in ("started", "ended"):
            details = {key: value for key, value in message.items() if key != "event"}
            self._keep(topics.event, _json({"event_type": kind, **details}))
            return
        heard = state["hearing"]
        if kind == "state":
            state.update((key, value) for key, value in message.items() if key != "event")
        elif kind in ("deaf", "hearing"):
            state["hearing"] = kind == "hearing"
        if kind == "deaf":
            state["reason"] = message["reason"]
        elif state["hearing"]:
            state["reason"] = None
        if self._session is not None and self._session.up:
            self._publish_state(source)
            if state["hearing"] != heard:
                self._publish_availability(source)

    def _keep(self, topic: str, payload: str) -> None:
        number = next(self._numbers)
        self._events[number] = (topic, payload)
        if len(self._events) > self._most_waiting:
            del self._events[next(iter(self._events))]
            self._dropped += 1
            self._fail(
                "dropped", f"more than {self._most_waiting} events are waiting for it; the oldest are dropped"
            )
        if self._session is not None and self._session.up:
            self._send(self._session, number)

    # Publishing.

    def _announce(self) -> None:
        """Publishes all retained messages again; the broker and Home Assistant may have lost them."""
        for source, topics in self._topics.items():
            device = discovery.config(self._broker, source, self._version)
            self._publish(topics.config, _json(device))
            # Before availability, so that no state of an earlier run is shown as current.
            self._publish_state(source)
            self._publish_availability(source)
        self._publish(self._broker.process, ONLINE)

    def _publish_state(self, source: str) -> None:
        self._publish(
            self._topics[source].state, _json({**self._states[source], "dropped_events": self._dropped})
        )

    def _publish_availability(self, source: str) -> None:
        self._publish(
            self._topics[source].availability, ONLINE if self._states[source]["hearing"] else OFFLINE
        )

    def _publish(self, topic: str, payload: str) -> None:
        if self._session is not None:
            sent = self._session.client.publish(topic, payload, qos=1, retain=True)
            self._session.sent[sent.mid] = None

    def _send(self, session: _Session, number: int) -> None:
        topic, payload = self._events[number]
        session.sent[session.client.publish(topic, payload, qos=1).mid] = number

    def _fail(self, kind: str, text: str) -> bool:
        """Warns of a failure, once until the next connection; returns False: the connection was not good."""
        if kind not in self._told:
            self._told.add(kind)
            self._say(text)
        return False

    def _say(self, text: str) -> None:
        # An error in `warn` cannot be reported, and must not end the thread.
        with suppress(Exception):
            self._warn(f"MQTT broker {self._broker.name}: {text}")


def _free(client: "Client") -> None:
    """Removes a client's callbacks: their reference cycles would keep it and two sockets until collected."""
    client.on_connect = client.on_disconnect = client.on_publish = None
    client.on_subscribe = client.on_message = None
    vars(client).pop("loop_forever", None)


def _events(count: int) -> str:
    return "one event" if count == 1 else f"{count} events"


def _json(values: Mapping[str, Any]) -> str:
    """Returns JSON with null for infinities and NaN, such as the level of silence, which JSON lacks."""
    return json.dumps(
        {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in values.items()
        }
    )
