// A stand-in for FreeRTOS on the threads of a computer.
#pragma once
#include <cstdint>

using BaseType_t = int;
using UBaseType_t = unsigned;
using TickType_t = uint32_t;

constexpr BaseType_t pdPASS = 1, pdTRUE = 1, pdFALSE = 0;
constexpr TickType_t portMAX_DELAY = 0xffffffff;
