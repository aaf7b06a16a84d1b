"""A sensor of the probability that a baby cries, updated every 0.48 s."""

import esphome.codegen as cg
import esphome.config_validation as cv
from esphome.components import sensor
from esphome.const import STATE_CLASS_MEASUREMENT

from . import CONF_YAMNET_CRY_ID, YamnetCry

DEPENDENCIES = ["yamnet_cry"]

CONFIG_SCHEMA = sensor.sensor_schema(
    icon="mdi:emoticon-cry-outline",
    accuracy_decimals=2,
    state_class=STATE_CLASS_MEASUREMENT,
).extend({cv.GenerateID(CONF_YAMNET_CRY_ID): cv.use_id(YamnetCry)})


async def to_code(config):
    """Generates the code that sets up the sensor."""
    component = await cg.get_variable(config[CONF_YAMNET_CRY_ID])
    cg.add(component.set_probability(await sensor.new_sensor(config)))
