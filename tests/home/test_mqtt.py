"""MQTT with a real broker: the messages for Home Assistant, and a broker that becomes unreachable."""

import gc
import json
import math
import socket
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress

import jinja2
import paho.mqtt.client
import pytest
from brokers import PATIENCE, PROGRAM, Line, Listener, Mosquitto, free_port, wait_for
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.errors import OutletError
from yamnet_cry.home import discovery
from yamnet_cry.home.broker import PASSWORD_VARIABLE, Broker, parse_broker, slug
from yamnet_cry.home.discovery import Topics
from yamnet_cry.home.mqtt import Mqtt

ROOT = "yamnet-cry/attic"
STATE, AVAILABILITY, EVENT = (f"{ROOT}/nursery/{name}" for name in ("state", "availability", "event"))
PROCESS = f"{ROOT}/availability"
CONFIG = "homeassistant/device/yamnet_cry_attic_nursery/config"

needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")


def state(**values):
    known = {"hearing": True, "crying": False, "probability": 0.25, "level": -41.5, "last_frame": 0.1}
    known |= {"restarts": 0, "uptime": 12.0, "dropped_seconds": 0.0, "muted_until": None, "at": 1.0}
    return {"event": "state", "source": "nursery", **known, **values}


def started(number):
    return {"event": "started", "id": f"cry-{number}", "source": "nursery", "start": 1.5, "probability": 0.9}


def ids(listener):
    return [json.loads(payload)["id"] for payload in listener.of(EVENT)]


@pytest.fixture
def broker(tmp_path):
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.kill()


@pytest.fixture
def listen():
    """A factory of listeners, which are closed at the end."""
    made = []

    def make(port):
        made.append(Listener(port))
        return made[-1]

    yield make
    for listener in made:
        listener.close()


@pytest.fixture
def connect():
    """A factory of outlets, which are closed at the end, with their warnings recorded."""
    made = []

    def make(port, *, address="mqtt://127.0.0.1:{}?node=attic", sources=("nursery",), **options):
        said, muted = [], []
        options = {"on_mute": lambda *call: muted.append(call), "retry_seconds": (0.05, 0.2), **options}
        outlet = Mqtt(address.format(port), sources, said.append, **options)
        outlet.said, outlet.muted = said, muted
        made.append(outlet)
        return outlet

    yield make
    for outlet in made:
        outlet.close(PATIENCE)


@needs_mosquitto
def test_a_source_is_discovered_before_it_says_anything(broker, listen, connect):
    outlet = connect(broker.port)
    early = listen(broker.port)
    wait_for(lambda: early.last(PROCESS) == "online", "presence")
    late = listen(broker.port)
    wait_for(lambda: late.last(PROCESS) == "online", "retained messages")
    assert all(retained for _, _, retained in late.messages)
    assert json.loads(late.last(CONFIG))["origin"]["name"] == "yamnet-cry"
    # An earlier run may have left a state of ON; this run has no result yet.
    assert late.last(AVAILABILITY) == "offline"
    assert json.loads(late.last(STATE))["crying"] is False
    assert outlet.said == []


@needs_mosquitto
def test_states_are_retained_and_events_come_once(broker, listen, connect):
    listener, outlet = listen(broker.port), connect(broker.port)
    wait_for(lambda: listener.last(PROCESS) == "online", "a first connection")
    outlet.push(state(crying=True, level=-math.inf))
    outlet.push(started(1))
    outlet.push({"event": "ended", "id": "cry-1", "source": "nursery", "seconds": 4.5, "interrupted": False})
    outlet.push(state())
    outlet.close(PATIENCE)
    wait_for(lambda: listener.last(PROCESS) == "offline", "the end")
    first, last = (json.loads(payload) for payload in listener.of(EVENT))
    assert (first["event_type"], first["id"], first["source"]) == ("started", "cry-1", "nursery")
    assert (last["event_type"], last["seconds"], last["interrupted"]) == ("ended", 4.5, False)
    states = [json.loads(payload) for payload in listener.of(STATE)]
    assert [each["crying"] for each in states] == [False, True, False]
    assert states[1]["level"] is None, "JSON has no infinity"
    assert listener.of(AVAILABILITY) == ["offline", "online"]
    late = listen(broker.port)
    wait_for(lambda: late.last(PROCESS) == "offline", "retained messages")
    assert late.of(EVENT) == []
    assert outlet.said == []
    outlet.push(started(2))  # after the end it is not sent
    outlet.close(1)


@needs_mosquitto
def test_a_monitor_that_hears_nothing_says_why(broker, listen, connect):
    listener, outlet = listen(broker.port), connect(broker.port)
    wait_for(lambda: listener.last(PROCESS) == "online", "a first connection")
    outlet.push(state(crying=True))
    outlet.push({"event": "deaf", "source": "nursery", "at": 2.0, "reason": "no sound for 30 s"})
    wait_for(lambda: listener.of(AVAILABILITY) == ["offline", "online", "offline"], "deafness")
    wait_for(lambda: json.loads(listener.last(STATE))["reason"] == "no sound for 30 s", "the reason")
    outlet.push(state(hearing=False))
    outlet.push({"event": "hearing", "source": "nursery", "at": 3.0})
    wait_for(lambda: listener.last(AVAILABILITY) == "online", "hearing")
    hearing = [(each["hearing"], each["reason"]) for each in map(json.loads, listener.of(STATE))]
    assert hearing[2:] == [(False, "no sound for 30 s")] * 2 + [(True, None)]
    assert listener.last(PROCESS) == "online"


@needs_mosquitto
def test_a_broker_that_forgot_everything_is_told_again(broker, listen, connect):
    line = Line(broker.port)
    outlet = connect(line.port)
    outlet.push(state(crying=True))
    early = listen(broker.port)
    wait_for(lambda: early.last(AVAILABILITY) == "online", "a first connection")
    early.close()
    line.cut()
    broker.kill()
    wait_for(lambda: outlet.said, "a word about it")
    for number in range(5):
        outlet.push(started(number))
        outlet.push(state(probability=number / 10))
    broker.start()
    listener = listen(broker.port)
    line.mend()
    wait_for(lambda: len(listener.of(EVENT)) >= 5, "events")
    outlet.push(started(5))
    wait_for(lambda: len(listener.of(EVENT)) >= 6, "another event")
    assert ids(listener) == [f"cry-{number}" for number in range(6)]
    assert [json.loads(payload)["probability"] for payload in listener.of(STATE)] == [0.4]
    assert listener.of(AVAILABILITY) == ["online"]
    topics = [topic for topic, _, _ in listener.messages]
    assert topics[:5] == [CONFIG, STATE, AVAILABILITY, PROCESS, EVENT]
    lost, back = outlet.said
    assert lost.startswith(f"MQTT broker 127.0.0.1:{line.port}: lost the connection (")
    assert back == f"MQTT broker 127.0.0.1:{line.port}: connected"


@needs_mosquitto
def test_what_waits_is_bounded_and_what_is_lost_is_told(broker, listen, connect):
    line = Line(broker.port)
    line.cut()
    outlet = connect(line.port, most_waiting=3)
    for number in range(8):
        outlet.push(started(number))
    wait_for(lambda: len(outlet.said) == 2, "two warnings")
    listener = listen(broker.port)
    line.mend()
    wait_for(lambda: len(outlet.said) == 3, "a connection")
    wait_for(lambda: len(listener.of(EVENT)) == 3, "events")
    assert ids(listener) == ["cry-5", "cry-6", "cry-7"]
    assert json.loads(listener.last(STATE))["dropped_events"] == 5
    said = {text.partition(": ")[2] for text in outlet.said}
    assert "more than 3 events are waiting for it; the oldest are dropped" in said
    assert "connected; 5 events dropped in the meantime" in said


CHILD = """
import sys, time
from yamnet_cry.home.mqtt import Mqtt
outlet = Mqtt(sys.argv[1], ["nursery"], print, on_mute=print)
outlet.push({"event": "state", "source": "nursery", "hearing": True, "crying": True})
time.sleep(600)
"""


@needs_mosquitto
def test_a_killed_program_is_known_to_be_gone(broker, listen):
    listener = listen(broker.port)
    child = subprocess.Popen([sys.executable, "-c", CHILD, f"mqtt://127.0.0.1:{broker.port}?node=attic"])
    try:
        wait_for(lambda: listener.last(AVAILABILITY) == "online", "the program")
        assert listener.of(PROCESS) == ["online"]
    finally:
        child.kill()
        child.wait()
    wait_for(lambda: listener.of(PROCESS) == ["online", "offline"], "the last will")
    late = listen(broker.port)
    wait_for(lambda: late.last(PROCESS) == "offline", "a retained last will")


@needs_mosquitto
def test_the_broker_may_start_later(tmp_path, listen, connect):
    broker = Mosquitto(tmp_path)
    outlet = connect(broker.port)
    outlet.push(started(1))
    wait_for(lambda: outlet.said, "a warning")
    broker.start()
    try:
        wait_for(lambda: len(outlet.said) == 2, "a connection")
        listener = listen(broker.port)
        wait_for(lambda: listener.last(PROCESS) == "online", "presence")
        assert "cannot be reached" in outlet.said[0]
        assert outlet.said[1].endswith(": connected")
        outlet.close(PATIENCE)
    finally:
        broker.kill()


@needs_mosquitto
def test_credentials(tmp_path, connect, monkeypatch):
    passwords = tmp_path / "passwords"
    command = ["mosquitto_passwd", "-b", "-c", passwords, "baby", "p@ss/w:rd"]
    subprocess.run(command, check=True, capture_output=True)
    broker = Mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}").start()
    try:
        wrong = connect(broker.port, address="mqtt://baby:sesame@127.0.0.1:{}")
        nobody = connect(broker.port)
        right = connect(broker.port, address="mqtt://baby:p%40ss%2Fw%3Ard@127.0.0.1:{}?node=right")
        monkeypatch.setenv(PASSWORD_VARIABLE, "p@ss/w:rd")
        hidden = connect(broker.port, address="mqtt://baby@127.0.0.1:{}?node=hidden")
        for outlet in (right, hidden):
            outlet.push(started(1))
            outlet.close(PATIENCE)
            assert outlet.said == []
        wait_for(lambda: wrong.said and nobody.said, "refusals")
        wrong.close(0.5)
        nobody.close(0.5)
    finally:
        broker.kill()
    (text,) = wrong.said
    assert text == (
        f"MQTT broker 127.0.0.1:{broker.port}: refused the connection: not authorized; check user and "
        "password, which may be in the address or in YAMNET_CRY_MQTT_PASSWORD"
    )
    assert nobody.said == [f"MQTT broker 127.0.0.1:{broker.port}: refused the connection: not authorized"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    crt, key = folder / "own.crt", folder / "own.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=own"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", crt]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return crt, key


# paho-mqtt leaves the socket of a refused certificate to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@needs_mosquitto
def test_tls(tmp_path, connect, certificate):
    crt, key = certificate
    broker = Mosquitto(tmp_path, f"certfile {crt}", f"keyfile {key}").start()
    try:
        trusting = connect(broker.port, address="mqtts://127.0.0.1:{}?node=a&ca=" + str(crt))
        trusting.push(started(1))
        trusting.close(PATIENCE)
        assert trusting.said == []
        wary = connect(broker.port, address="mqtts://127.0.0.1:{}?node=b")
        wait_for(lambda: wary.said, "a refusal")
        wary.close(0)
    finally:
        broker.kill()
    assert wary.said[0].endswith("is not trusted (self-signed certificate); set its CA with ?ca=FILE")


@needs_mosquitto
def test_home_assistant_starts(broker, listen, connect):
    listener, outlet = listen(broker.port), connect(broker.port)
    outlet.push(state())
    wait_for(lambda: listener.last(AVAILABILITY) == "online", "a first connection")
    listener.publish("homeassistant/status", "offline")
    listener.publish("homeassistant/status", "online")
    wait_for(lambda: len(listener.of(PROCESS)) == 2, "discovery again")
    assert len(listener.of(CONFIG)) == 2
    assert listener.of(EVENT) == []


@needs_mosquitto
def test_commands(broker, listen, connect):
    listener = listen(broker.port)
    listener.publish(f"{ROOT}/mute/set", "ON", retain=True)
    outlet = connect(broker.port, sources=["nursery", "Kids' room"])
    outlet.push(state())
    wait_for(lambda: listener.last(AVAILABILITY) == "online", "a connection")
    for topic, payload in [
        ("nursery/mute/set", "ON"),
        ("nursery/mute/set", "12.5"),
        ("kids_room/mute/set", "OFF"),
        ("mute/set", "1440"),
        ("mute/set", "1441"),
        ("mute/set", "-1"),
        ("mute/set", "nan"),
        ("mute/set", "soon" * 100),
        ("mute/set", "OFF"),
    ]:
        listener.publish(f"{ROOT}/{topic}", payload)
    expected = [("nursery", 30.0), ("nursery", 12.5), ("Kids' room", 0.0), (None, 1440.0), (None, 0.0)]
    wait_for(lambda: len(outlet.muted) == len(expected), "commands")
    assert outlet.muted == expected
    assert [text.partition("Received on ")[2] for text in outlet.said] == [
        f"{ROOT}/mute/set: {text!r}" for text in ("1441", "-1", "nan", "soon" * 10)
    ]


@needs_mosquitto
def test_an_error_of_another_is_told_and_ends_nothing(broker, listen, connect):
    def on_mute(source, minutes):
        raise ZeroDivisionError

    listener, outlet = listen(broker.port), connect(broker.port, on_mute=on_mute)
    outlet.push(state())
    outlet.push(state(source="cellar"))
    wait_for(lambda: listener.last(AVAILABILITY) == "online", "a connection")
    listener.publish(f"{ROOT}/mute/set", "ON")
    wait_for(lambda: len(outlet.said) == 2, "errors")
    assert ["KeyError('cellar')" in outlet.said[0], "ZeroDivisionError()" in outlet.said[1]] == [True, True]
    outlet.push(started(1))
    wait_for(lambda: ids(listener) == ["cry-1"], "an event")


@needs_mosquitto
def test_two_programs_of_one_name_are_told_apart(broker, connect):
    one = connect(broker.port)
    other = connect(broker.port)
    wait_for(lambda: one.said and other.said, "a quarrel")
    assert "give each its own ?node=" in one.said[0]


def test_the_end_waits_no_longer_than_it_may(connect):
    before = set(threading.enumerate())
    outlet = connect(free_port())
    (worker,) = (thread for thread in set(threading.enumerate()) - before if thread.name == "mqtt")
    outlet.push(started(1))
    wait_for(lambda: outlet.said, "a warning")
    outlet.close(0.3)
    assert not worker.is_alive()
    assert outlet.said[-1].endswith("one event could not be sent before exit")
    hasty = connect(free_port())
    hasty.push(started(1))
    hasty.close(0)
    assert hasty.said[-1].endswith("one event could not be sent before exit")
    idle = connect(free_port(), retry_seconds=(3600.0, 3600.0))
    wait_for(lambda: idle.said, "a warning")
    begun = time.monotonic()
    idle.close(3600)  # no message is waiting, so it returns at once
    assert time.monotonic() - begun < PATIENCE
    assert len(idle.said) == 1


def serve(server, *answers):
    """Sends one answer after each message on a connection, then closes it; one connection at a time."""
    with suppress(OSError):
        while True:
            with server.accept()[0] as connection:
                for answer in answers:
                    connection.recv(1000)
                    connection.sendall(answer)
                # Closing a socket with unread data would discard sent data.
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1000):
                    pass


CONNECTED, NOT_SUBSCRIBED = b"\x20\x02\x00\x00", b"\x90\x05\x00\x01\x80\x80\x80"


@pytest.mark.parametrize(
    ("answers", "warning"),
    [
        ([b""], "closed the connection during the handshake"),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9], "closed the connection during the handshake"),
        ([b"\x30\x02\xff\xff"], "closed the connection during the handshake"),
        ([CONNECTED + b"\x90\x01\x00"], "lost the connection"),
        ([CONNECTED, NOT_SUBSCRIBED], "denies this user some subscriptions: muting will not work"),
    ],
)
def test_a_server_that_speaks_otherwise(connect, answers, warning):
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server, *answers), daemon=True).start()
        outlet = connect(server.getsockname()[1])
        wait_for(lambda: outlet.said, "a warning")
        outlet.close(0)
        assert warning in outlet.said[0]
        with suppress(OSError):  # wakes the thread, except on macOS, where closing does
            server.shutdown(socket.SHUT_RDWR)


def test_a_client_that_fails_is_replaced(connect, monkeypatch):
    def fail(*_arguments, **_named):
        raise ZeroDivisionError

    monkeypatch.setattr("paho.mqtt.client.Client.loop_forever", fail)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        outlet = connect(server.getsockname()[1])
        for _ in range(2):
            server.accept()[0].close()
        outlet.close(0)
    assert "(ZeroDivisionError())" in outlet.said[0]


@needs_mosquitto
def test_no_client_outlives_its_connection(broker, listen, connect, monkeypatch):
    # Each client holds two sockets, which do not make the garbage collector run sooner.
    made: list[weakref.ref] = []

    class Noted(paho.mqtt.client.Client):
        def __init__(self, *arguments, **named) -> None:
            super().__init__(*arguments, **named)
            made.append(weakref.ref(self))

    listener = listen(broker.port)
    monkeypatch.setattr(paho.mqtt.client, "Client", Noted)
    gc.disable()
    try:
        connect(broker.port)
        wait_for(lambda: listener.last(PROCESS) == "online", "a connection")
        broker.kill()
        wait_for(lambda: len(made) > 4, "some attempts")
        assert [client() for client in made[:2]] == [None, None]
    finally:
        gc.enable()


@needs_mosquitto
@pytest.mark.skipif(sys.platform == "win32", reason="no process can be stopped for a while")
def test_a_broker_that_hangs_holds_up_nobody(broker, listen, connect):
    listener, outlet = listen(broker.port), connect(broker.port)
    wait_for(lambda: listener.last(PROCESS) == "online", "a connection")
    with broker.stopped():
        outlet.push(started(1))
        begun = time.monotonic()
        outlet.close(0.3)
        assert time.monotonic() - begun < PATIENCE
        assert outlet.said[0].endswith("one event could not be sent before exit")


# Options that Home Assistant documents: common ones, then those of each platform.
COMMON = {"platform", "name", "unique_id", "default_entity_id", "availability", "availability_mode", "qos"}
COMMON |= {"entity_category", "icon", "state_topic", "json_attributes_topic", "json_attributes_template"}
KEYS = {
    "binary_sensor": {"device_class", "payload_on", "payload_off", "value_template", "expire_after"},
    "sensor": {"state_class", "unit_of_measurement", "suggested_display_precision", "value_template"}
    | {"expire_after"},
    "event": {"event_types"},
    "switch": {"command_topic", "payload_on", "payload_off", "value_template"},
}


def test_discovery_holds_what_home_assistant_knows():
    config = discovery.config(Broker("pi.local", 1883, node="attic"), "Kids' room", "1.2.3")
    assert config["device"]["identifiers"] == ["yamnet_cry_attic_kids_room"]
    assert config["device"]["name"] == "Kids' room"
    assert {each["default_entity_id"] for each in config["components"].values()} == {
        "binary_sensor.kids_room_crying",
        "sensor.kids_room_cry_probability",
        "sensor.kids_room_sound_level",
        "event.kids_room_cry",
        "binary_sensor.kids_room_monitor_problem",
        "sensor.kids_room_monitor_restarts",
        "switch.kids_room_mute",
    }
    assert len({each["unique_id"] for each in config["components"].values()}) == 7
    for entity in config["components"].values():
        assert entity.keys() <= COMMON | KEYS[entity["platform"]]
        assert entity["availability"][0]["topic"] == "yamnet-cry/attic/availability"
    heard = {key for key, each in config["components"].items() if len(each["availability"]) == 2}
    assert heard == {"crying", "cry_probability", "sound_level", "cry"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            state(crying=True, muted_until="2026-11-25T03:00:00+00:00"),
            {"crying": "ON", "cry_probability": "25.0", "monitor_problem": "OFF", "mute": "ON"},
        ),
        (
            state(hearing=False, level=None),
            {"crying": "OFF", "sound_level": "None", "monitor_problem": "ON", "mute": "OFF"},
        ),
        (state(level=-41.56), {"sound_level": "-41.6", "monitor_restarts": "0"}),
        (
            discovery.UNKNOWN,
            {
                "crying": "OFF",
                "cry_probability": "None",
                "monitor_problem": "None",
                "monitor_restarts": "None",
            },
        ),
    ],
)
def test_templates_read_states(values, expected):
    templates = jinja2.Environment()
    templates.filters["to_json"] = json.dumps
    message = {"source": "nursery", "reason": None, "dropped_events": 0, **values}
    entities = discovery.config(Broker("pi.local", 1883), "nursery", "1.2.3")["components"]
    for key, text in expected.items():
        template = entities[key]["value_template"]
        assert templates.from_string(template).render(value_json=message) == text, key
    for entity in entities.values():
        if "json_attributes_template" in entity:
            attributes = templates.from_string(entity["json_attributes_template"]).render(value_json=message)
            assert isinstance(json.loads(attributes), dict)


@given(st.text(max_size=30))
def test_any_name_makes_a_topic(name):
    topics = Topics.of(Broker("pi.local", 1883, node="attic"), name)
    assert slug(topics.source) == topics.source
    assert topics.source.replace("_", "a").isalnum()
    assert topics.source.isascii()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nursery", "expected an MQTT broker such as mqtt://user@host:1883"),
        ("http://pi.local", r"Received: http://pi.local$"),
        ("mqtt://", "expected an MQTT broker such as"),
        ("mqtt://baby@:1883", "expected an MQTT broker such as"),
        ("mqtt://pi.local:0", "expected an MQTT broker such as"),
        ("mqtt://pi.local:99999", "expected an MQTT broker such as"),
        ("mqtt://pi.local/topic", "expected an MQTT broker such as"),
        ("mqtt://pi.local?node", "expected an MQTT broker such as"),
        ("mqtt://baby:se#cret@pi.local", r"percent-encoded. Received: mqtt://…@pi.local$"),
        ("mqtt://baby:se/cret@pi.local", r"percent-encoded. Received: mqtt://…@pi.local$"),
        ("baby:secret@pi.local", r"Received: …@pi.local$"),
        ("mqtt://:secret@pi.local", r"an MQTT password needs a user name. Received: mqtt://…@pi.local$"),
        ("mqtt://pi.local?topic=a", "may be followed by discovery, node, each once"),
        ("mqtt://pi.local?ca=a.crt", "may be followed by discovery, node, each once"),
        ("mqtts://pi.local?node=a&node=b", "may be followed by ca, discovery, node, each once"),
        ("mqtt://pi.local?node=a%2Fb", "expected node in the MQTT address to be letters, digits"),
        ("mqtt://pi.local?discovery=a/%23", "expected discovery in the MQTT address to be a topic"),
        ("mqtts://pi.local?ca=no-such-file", r"PEM certificates \(No such file or directory\)"),
        (
            f"mqtts://pi.local?ca={__file__}",
            "expected ca in the MQTT address to be a file of PEM certificates",
        ),
    ],
)
def test_addresses_that_cannot_be_used(address, message):
    with pytest.raises(OutletError, match=message) as raised:
        Mqtt(address, ["nursery"], print, on_mute=print)
    assert "cret" not in str(raised.value)


def test_addresses(monkeypatch):
    monkeypatch.setenv(PASSWORD_VARIABLE, "hidden")
    broker = parse_broker("mqtts://b%40by:se%2Fcret@[fe80::1]:8000/?node=attic&discovery=ha/main")
    assert (broker.user, broker.password, broker.name) == ("b@by", "se/cret", "[fe80::1]:8000")
    assert broker.tls is not None
    assert Topics.of(broker, "nursery").config == "ha/main/device/yamnet_cry_attic_nursery/config"
    assert "cret" not in repr(broker)
    assert parse_broker("mqtt://baby@pi.local").password == "hidden"
    plain = parse_broker("mqtt://pi.local")
    assert (plain.port, plain.user, plain.password, plain.tls) == (1883, None, None, None)
    assert plain.node == parse_broker("mqtts://pi.local").node


def test_sources_need_topics_of_their_own():
    with pytest.raises(OutletError, match="'Baby 1' and 'baby-1' have the same MQTT name, baby_1"):
        Mqtt("mqtt://pi.local", ["Baby 1", "baby-1"], print, on_mute=print)
    with pytest.raises(OutletError, match="'nursery' and 'nursery' have the same MQTT name, nursery"):
        Mqtt("mqtt://pi.local", ["nursery", "nursery"], print, on_mute=print)


def test_paho_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(OutletError, match=r"yamnet-cry\[mqtt\]"):
        Mqtt("mqtt://pi.local", ["nursery"], print, on_mute=print)
