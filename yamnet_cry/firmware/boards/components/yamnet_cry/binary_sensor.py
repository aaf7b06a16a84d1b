"""A binary sensor that is on while a baby cries."""

import esphome.codegen as cg
import esphome.config_validation as cv
from esphome.components import binary_sensor
from esphome.const import DEVICE_CLASS_SOUND

from . import CONF_YAMNET_CRY_ID, YamnetCry

DEPENDENCIES = ["yamnet_cry"]

CONFIG_SCHEMA = binary_sensor.binary_sensor_schema(
    device_class=DEVICE_CLASS_SOUND,
).extend({cv.GenerateID(CONF_YAMNET_CRY_ID): cv.use_id(YamnetCry)})


async def to_code(config):
    """Generates the code that sets up the sensor."""
    component = await cg.get_variable(config[CONF_YAMNET_CRY_ID])
    cg.add(component.set_crying(await binary_sensor.new_binary_sensor(config)))
