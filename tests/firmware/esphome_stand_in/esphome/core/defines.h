// The part of ESPHome's interface that the component uses, to compile and run it on a computer.
#pragma once
#define USE_ESP32
#define USE_BINARY_SENSOR
#define USE_SENSOR
