"""Parses the address of an MQTT broker."""

import os
import re
import socket
import ssl
import unicodedata
import zlib
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from yamnet_cry.errors import OutletError

#: Environment variable with the password: other users of the machine can read command lines.
PASSWORD_VARIABLE = "YAMNET_CRY_MQTT_PASSWORD"

_PORTS = {"mqtt": 1883, "mqtts": 8883}

_EXAMPLE = "expected an MQTT broker such as mqtt://user@host:1883 or mqtts://user@host:8883"

# What Home Assistant accepts as a topic level.
_NODE = re.compile(r"[A-Za-z0-9_-]+")

# No wildcards, no empty level, and no $, which is reserved for topics of the broker.
_PREFIX = re.compile(r"[^/+#$\0][^/+#\0]*(/[^/+#\0]+)*")


@dataclass(frozen=True)
class Broker:
    """An MQTT broker, and the names of this machine on it.

    Attributes:
        host: A name or an IP address.
        port: In [1, 65535].
        user: None to connect without credentials.
        password: None for none; not part of the repr.
        tls: None for an unencrypted connection.
        node: Topic level of this machine, below ``yamnet-cry``.
        discovery: Discovery prefix: the topic below which Home Assistant looks for devices.
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
        """Host and port; messages show nothing else of the address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def root(self) -> str:
        """The topic below which this machine publishes, except discovery messages."""
        return f"yamnet-cry/{self.node}"

    @property
    def process(self) -> str:
        """The topic of the program's availability; if the connection breaks, its last will goes there."""
        return f"{self.root}/availability"


def parse_broker(address: str) -> Broker:
    """Parses the address of a broker, and reads its certificate file.

    User and password may be percent-encoded. Without a password in the address, the environment variable
    YAMNET_CRY_MQTT_PASSWORD sets it. The query may contain ``node``, ``discovery``, and ``ca``, the file of
    the certificate authority that signed a broker's certificate.

    Raises:
        OutletError: If the address is invalid; the message does not contain user and password.

    Examples:
        >>> parse_broker("mqtt://nursery%20monitor:secret@pi.local?node=attic")
        Broker(host='pi.local', port=1883, user='nursery monitor', node='attic', discovery='homeassistant')
    """
    # A password may contain any character, even those that should have been encoded.
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
    """Converts a name to a topic level that is also valid in entity IDs.

    Examples:
        >>> slug("Kids' room"), slug("Zoë"), slug("детская")
        ('kids_room', 'zoe', 'x_32c862bd')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9]+", "_", plain.replace("'", "")).strip("_")
    # Nothing is left of a name in a non-Latin script; its checksum is the same in every run.
    return plain or f"x_{zlib.crc32(name.encode()):08x}"


def this_machine() -> str:
    """Returns a name of this machine that is the same in every run."""
    return slug(socket.gethostname().partition(".")[0] or "monitor")
