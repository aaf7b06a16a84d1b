"""Manifests for the component and library registries of ESP-IDF, Arduino and PlatformIO."""

import json
import re
from importlib.metadata import version

NAME = "yamnet_cry"

#: TFLite-Micro for Arduino. Its name and its header differ in the case of one letter.
ARDUINO_MICRO = "Chirale_TensorFLowLite"

#: Placeholder: Arduino requires a URL, and the project has none. The publisher of a kit replaces it.
NO_ADDRESS = "https://example.com/yamnet_cry"

_SENTENCE = "Detects crying babies from a microphone."
_PARAGRAPH = (
    "From samples at 16 kHz to events: YAMNet's front end, an INT8 student of YAMNet for TensorFlow Lite "
    "Micro, and event detection. No audio leaves the device."
)
_LICENSE = "MIT"
# 32-bit processors with enough memory for the network.
_ARCHITECTURES = ("esp32", "mbed_giga", "mbed_nano", "mbed_nicla", "mbed_portenta", "mbed_rp2040", "rp2040")
_TYPES = ("yamnet_cry_frontend", "yamnet_cry_events", "yamnet_cry_event", "yamnet_cry_context")
_FUNCTIONS = (
    *("yamnet_cry_frontend_reset", "yamnet_cry_frontend_push", "yamnet_cry_network_invoke"),
    *("yamnet_cry_context_reset", "yamnet_cry_context_push", "yamnet_cry_score", "yamnet_cry_log_odds"),
    *("yamnet_cry_probability", "yamnet_cry_events_reset", "yamnet_cry_events_push"),
    *("yamnet_cry_events_finish", "yamnet_cry_self_test"),
)
_CONSTANTS = ("YAMNET_CRY_HOP", "YAMNET_CRY_CLASSES", "YAMNET_CRY_EMBEDDING", "YAMNET_CRY_THRESHOLD")


def semantic(package_version: str) -> str:
    """Converts a Python package version to ``MAJOR.MINOR.PATCH``, as registries require.

    Examples:
        >>> semantic("0.3.0"), semantic("0.3.dev1+local")
        ('0.3.0', '0.3.0')
    """
    numbers = re.findall(r"\d+", package_version.split("+")[0].split(".dev")[0])
    return ".".join([*numbers, "0", "0"][:3])


def manifests() -> dict[str, str]:
    """Returns the manifests, and the keywords of Arduino's editor, by file name."""
    number = semantic(version("yamnet-cry"))
    component = f"""version: "{number}"
description: {_SENTENCE}
license: {_LICENSE}
tags:
  - audio
  - machine-learning
  - tflite-micro
dependencies:
  idf: ">=5.0"
  espressif/esp-tflite-micro: "^1.3.1"
files:
  exclude:
    - "components/**/*"
    - "examples/SelfTest/**/*"
"""
    properties = {
        "name": NAME,
        "version": number,
        "author": "The yamnet-cry authors",
        "maintainer": "The yamnet-cry authors",
        "sentence": _SENTENCE,
        "paragraph": _PARAGRAPH,
        "category": "Data Processing",
        "url": NO_ADDRESS,
        "architectures": ",".join(_ARCHITECTURES),
        "includes": "yamnet_cry.h",
        "depends": ARDUINO_MICRO,
    }
    library = {
        "name": NAME,
        "version": number,
        "description": f"{_SENTENCE} {_PARAGRAPH}",
        "keywords": ["audio", "machine learning", "baby cry detection"],
        "authors": [{"name": "The yamnet-cry authors"}],
        "license": _LICENSE,
        "frameworks": ["arduino", "espidf"],
        "platforms": "*",
        "headers": "yamnet_cry.h",
        "build": {"srcDir": "src", "includeDir": "src"},
        "export": {"exclude": ["components", "examples/self_test"]},
    }
    keywords = [
        *(f"{name}\tKEYWORD1" for name in _TYPES),
        *(f"{name}\tKEYWORD2" for name in _FUNCTIONS),
        *(f"{name}\tLITERAL1" for name in _CONSTANTS),
    ]
    return {
        "idf_component.yml": component,
        "library.properties": "".join(f"{key}={value}\n" for key, value in properties.items()),
        "library.json": json.dumps(library, indent=2) + "\n",
        "keywords.txt": "\n".join(keywords) + "\n",
    }
