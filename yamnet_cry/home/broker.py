"""Where an MQTT broker is, as its address says."""

import os
import re
import socket
import ssl
import unicodedata
import zlib
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from yamnet_cry.errors import OutletError

#: Holds the password, so that it need not stand on a command line that others on the machine can read.
PASSWORD_VARIABLE = "YAMNET_CRY_MQTT_PASSWORD"

_PORTS = {"mqtt": 1883, "mqtts": 8883}

_EXAMPLE = "expected an MQTT broker such as mqtt://user@host:1883 or mqtts://user@host:8883"

# What Home Assistant takes as a part of a topic.
_NODE = re.compile(r"[A-Za-z0-9_-]+")

# No wildcards, no empty level, and no $, by which brokers name topics of their own.
_PREFIX = re.compile(r"[^/+#$\0][^/+#\0]*(/[^/+#\0]+)*")


@dataclass(frozen=True)
class Broker:
    """An MQTT broker, and the names under which this machine is known there.

    Attributes:
        host: A name or an IP address.
        port: In [1, 65535].
        user: None to connect without credentials.
        password: None for none; no text made of this object holds it.
        tls: None for a connection that is not encrypted.
        node: The level of topics below ``yamnet-cry`` that stands for this machine.
        discovery: The topic below which Home Assistant looks for devices.
    """

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    node: str = "monitor"
    discovery: str = "homeassistant"

    @property
    def name(self) -> str:
        """Host and port, which is all that messages say of a broker."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def root(self) -> str:
        """The topic below which this machine publishes, except for what Home Assistant discovers."""
        return f"yamnet-cry/{self.node}"

    @property
    def process(self) -> str:
        """The topic of whether the program is there; the broker says so itself if the connection breaks."""
        return f"{self.root}/availability"


def parse_broker(address: str) -> Broker:
    """Reads the address of a broker, and the files that it names.

    User and password may be percent-encoded. A password that is not in the address is that of the environment
    variable YAMNET_CRY_MQTT_PASSWORD. The query may hold ``node``, ``discovery``, and ``ca``, the file of
    the certificate authority that signed a broker's certificate.

    Raises:
        OutletError: If it cannot be read; the message leaves user and password out.

    Examples:
        >>> parse_broker("mqtt://nursery%20monitor:secret@pi.local?node=attic")
        Broker(host='pi.local', port=1883, user='nursery monitor', node='attic', discovery='homeassistant')
    """
    # A password may hold any character, even those that should have been encoded.
    shown = re.sub(r"^([a-z]+://)?.*@", r"\1…@", address, flags=re.DOTALL | re.IGNORECASE)
    try:
        parts = urlsplit(address)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise OutletError(f"{_EXAMPLE}; other characters are percent-encoded. Received: {shown}") from None
    if scheme not in _PORTS or parts.netloc == "":
        raise OutletError(f"{_EXAMPLE}. Received: {shown}")
    if not host or parts.path not in ("", "/") or parts.fragment or port == 0:
        raise OutletError(f"{_EXAMPLE}; other characters are percent-encoded. Received: {shown}")
    if parts.password and not parts.username:
        raise OutletError(f"an MQTT password needs a user name. Received: {shown}")
    options = dict(query)
    allowed = {"node", "discovery", *({"ca"} if scheme == "mqtts" else ())}
    if len(options) < len(query) or not options.keys() <= allowed:
        raise OutletError(
            f"the address of an {scheme} broker may be followed by {', '.join(sorted(allowed))}, each once. "
            f"Received: {shown}"
        )
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else os.environ.get(PASSWORD_VARIABLE)
    return Broker(
        host=host,
        port=port or _PORTS[scheme],
        user=user,
        password=password if user is not None else None,
        tls=_tls(options.get("ca")) if scheme == "mqtts" else None,
        node=_checked("node", options.get("node", this_machine()), _NODE, "letters, digits, - and _"),
        discovery=_checked(
            "discovery", options.get("discovery", "homeassistant"), _PREFIX, "a topic without + and #"
        ),
    )


def _checked(name: str, value: str, pattern: re.Pattern[str], expected: str) -> str:
    if not pattern.fullmatch(value):
        raise OutletError(f"expected {name} in the MQTT address to be {expected}. Received: {value!r}")
    return value


def _tls(authority: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise OutletError(
            "expected ca in the MQTT address to be a file of PEM certificates "
            f"({error.strerror or error}). Received: {authority!r}"
        ) from None


def slug(name: str) -> str:
    """Makes a level of a topic, and a part of an entity's name, of any name.

    Examples:
        >>> slug("Kids' room"), slug("Zoë"), slug("детская")
        ('kids_room', 'zoe', 'x_32c862bd')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9]+", "_", plain.replace("'", "")).strip("_")
    # Of a name in other letters nothing is left; a number made of it is the same in each run.
    return plain or f"x_{zlib.crc32(name.encode()):08x}"


def this_machine() -> str:
    """Names this machine, the same way each time."""
    return slug(socket.gethostname().partition(".")[0] or "monitor")
