"""ESPHome component: detects a crying baby from a microphone."""

from pathlib import Path

import esphome.codegen as cg
import esphome.config_validation as cv
from esphome.components import esp32, microphone
from esphome.const import CONF_ID, CONF_MICROPHONE, CONF_THRESHOLD

DEPENDENCIES = ["esp32", "microphone"]

CONF_YAMNET_CRY_ID = "yamnet_cry_id"

# The kit, which contains this folder, is an ESP-IDF component that depends on TFLite-Micro.
KIT = Path(__file__).resolve().parents[2]

YamnetCry = cg.esphome_ns.namespace("yamnet_cry").class_("YamnetCry", cg.Component)


def _whole(config):
    if not (KIT / "CMakeLists.txt").is_file() or not (KIT / "src").is_dir():
        raise cv.Invalid(f"components/yamnet_cry must stay in its kit's folder, with src/. Received: {KIT}")
    return config


CONFIG_SCHEMA = cv.All(
    cv.Schema(
        {
            cv.GenerateID(): cv.declare_id(YamnetCry),
            cv.Required(CONF_MICROPHONE): microphone.microphone_source_schema(),
            cv.Optional(CONF_THRESHOLD): cv.percentage,
        }
    ).extend(cv.COMPONENT_SCHEMA),
    cv.only_on_esp32,
    _whole,
)

FINAL_VALIDATE_SCHEMA = cv.Schema(
    {
        cv.Required(CONF_MICROPHONE): microphone.final_validate_microphone_source_schema(
            "yamnet_cry", sample_rate=16000
        )
    },
    extra=cv.ALLOW_EXTRA,
)


async def to_code(config):
    """Generates the code that sets up the component."""
    component = cg.new_Pvariable(config[CONF_ID])
    await cg.register_component(component, config)
    source = await microphone.microphone_source_to_code(config[CONF_MICROPHONE])
    cg.add(component.set_microphone_source(source))
    if CONF_THRESHOLD in config:
        cg.add(component.set_threshold(config[CONF_THRESHOLD]))
    # In ESP-IDF, the name of a component is that of its folder.
    esp32.add_idf_component(name=KIT.name, path=str(KIT))
