"""Home Assistant's discovery of a source: topics, and the entities that read them.

Keys and values are those of https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yamnet_cry.home.broker import Broker, slug

ONLINE, OFFLINE = "online", "offline"

#: Minutes for which Home Assistant's switch mutes.
MUTE_MINUTES = 30.0

# States are sent every ten seconds. An entity whose value is older than this is shown as unavailable, which
# reveals a program that hangs.
_EXPIRE_SECONDS = 60

#: State published until a source sends its first one, so that no state of an earlier run is shown as current.
UNKNOWN: Mapping[str, Any] = {
    "hearing": None,
    "crying": False,
    "probability": None,
    "level": None,
    "last_frame": None,
    "restarts": None,
    "uptime": None,
    "dropped_seconds": None,
    "muted_until": None,
}


@dataclass(frozen=True)
class Topics:
    """Topics of a source.

    Attributes:
        root: Root topic of this machine.
        source: Topic level of the source, below the root.
        config: Topic of the discovery message of the source; outside of the root.
    """

    root: str
    source: str
    config: str

    @classmethod
    def of(cls, broker: Broker, source: str) -> "Topics":
        """Returns the topics of a source on a broker.

        Examples:
            >>> Topics.of(Broker("pi.local", 1883, node="attic"), "Kids' room").state
            'yamnet-cry/attic/kids_room/state'
        """
        config = f"{broker.discovery}/device/yamnet_cry_{broker.node}_{slug(source)}/config"
        return cls(broker.root, slug(source), config)

    @property
    def availability(self) -> str:
        """Whether the source delivers sound."""
        return f"{self.root}/{self.source}/availability"

    @property
    def state(self) -> str:
        """The latest state, as JSON."""
        return f"{self.root}/{self.source}/state"

    @property
    def event(self) -> str:
        """Events, as JSON."""
        return f"{self.root}/{self.source}/event"

    @property
    def mute(self) -> str:
        """Commands: ON, OFF, or minutes."""
        return f"{self.root}/{self.source}/mute/set"


def config(broker: Broker, source: str, version: str) -> dict[str, Any]:
    """Describes a source as a device with its entities.

    Args:
        broker: The broker.
        source: Name of the source, as the user wrote it.
        version: Version of the program.

    Returns:
        The content of the device discovery message, for `Topics.config`.
    """
    topics = Topics.of(broker, source)
    device = f"yamnet_cry_{broker.node}_{topics.source}"
    program = [{"topic": broker.process, "payload_available": ONLINE, "payload_not_available": OFFLINE}]
    heard = [*program, {**program[0], "topic": topics.availability}]
    # Without sound, entities of the monitor stay available; entities of the sound become unavailable.
    entities = {
        "crying": _crying(topics) | {"availability": heard},
        "cry_probability": _measurement(topics, "Cry probability", "probability", 100, "%")
        | {"availability": heard},
        "sound_level": _measurement(topics, "Sound level", "level", 1, "dBFS") | {"availability": heard},
        "cry": _event(topics) | {"availability": heard},
        "monitor_problem": _problem(topics) | {"availability": program},
        "monitor_restarts": _restarts(topics) | {"availability": program},
        "mute": _mute(topics) | {"availability": program},
    }
    return {
        "device": {
            "identifiers": [device],
            "name": source,
            "manufacturer": "yamnet-cry",
            "model": "Baby cry detector",
            "sw_version": version,
        },
        "origin": {"name": "yamnet-cry", "sw_version": version},
        "components": {
            key: entity
            | {
                "unique_id": f"{device}_{key}",
                "default_entity_id": f"{entity['platform']}.{topics.source}_{key}",
                "availability_mode": "all",
                "qos": 1,
            }
            for key, entity in entities.items()
        },
    }


def _crying(topics: Topics) -> dict[str, Any]:
    return {
        "platform": "binary_sensor",
        "name": "Crying",
        "device_class": "sound",
        "state_topic": topics.state,
        "value_template": "{{ 'ON' if value_json.crying else 'OFF' }}",
        "payload_on": "ON",
        "payload_off": "OFF",
        "expire_after": _EXPIRE_SECONDS,
        # Only what rarely changes: other attributes would fill the history.
        "json_attributes_topic": topics.state,
        "json_attributes_template": "{{ {'source': value_json.source, 'muted_until': value_json.muted_until} "
        "| to_json }}",
    }


def _measurement(topics: Topics, name: str, key: str, factor: int, unit: str) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": name,
        "state_class": "measurement",
        "unit_of_measurement": unit,
        "suggested_display_precision": 0,
        "state_topic": topics.state,
        "value_template": f"{{{{ (value_json.{key} * {factor}) | round(1) if value_json.{key} is number "
        "else None }}",
        "expire_after": _EXPIRE_SECONDS,
    }


def _event(topics: Topics) -> dict[str, Any]:
    return {
        "platform": "event",
        "name": "Cry",
        "event_types": ["started", "ended"],
        "state_topic": topics.event,
    }


def _problem(topics: Topics) -> dict[str, Any]:
    return {
        "platform": "binary_sensor",
        "name": "Monitor problem",
        "device_class": "problem",
        "entity_category": "diagnostic",
        "state_topic": topics.state,
        "value_template": "{{ None if value_json.hearing is none else 'OFF' if value_json.hearing "
        "else 'ON' }}",
        "payload_on": "ON",
        "payload_off": "OFF",
        "expire_after": _EXPIRE_SECONDS,
        "json_attributes_topic": topics.state,
        "json_attributes_template": "{{ {'reason': value_json.reason, 'dropped_events': "
        "value_json.dropped_events, 'dropped_seconds': value_json.dropped_seconds} | to_json }}",
    }


def _restarts(topics: Topics) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": "Monitor restarts",
        "state_class": "total_increasing",
        "entity_category": "diagnostic",
        "state_topic": topics.state,
        "value_template": "{{ value_json.restarts }}",
    }


def _mute(topics: Topics) -> dict[str, Any]:
    return {
        "platform": "switch",
        "name": "Mute",
        "icon": "mdi:bell-sleep",
        "state_topic": topics.state,
        "value_template": "{{ 'ON' if value_json.muted_until else 'OFF' }}",
        "command_topic": topics.mute,
        "payload_on": "ON",
        "payload_off": "OFF",
    }


def minutes(command: str) -> float | None:
    """Parses a command to mute.

    Returns:
        Minutes in (0, 1440], 0 to unmute, None for an invalid command.

    Examples:
        >>> minutes("ON"), minutes("OFF"), minutes("7.5"), minutes("0"), minutes("soon")
        (30.0, 0.0, 7.5, None, None)
    """
    word = command.strip().upper()
    if word in ("ON", "OFF"):
        return MUTE_MINUTES if word == "ON" else 0.0
    try:
        number = float(word)
    except ValueError:
        return None
    return number if 0 < number <= 1440 else None
