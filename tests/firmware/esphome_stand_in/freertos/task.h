#pragma once
#include <thread>

#include "FreeRTOS.h"

using TaskHandle_t = void *;

inline BaseType_t xTaskCreate(void (*code)(void *), const char *, uint32_t, void *argument, UBaseType_t, TaskHandle_t *) {
  std::thread(code, argument).detach();
  return pdPASS;
}
inline void vTaskDelete(TaskHandle_t) {}
