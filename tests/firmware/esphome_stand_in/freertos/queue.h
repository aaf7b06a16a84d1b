#pragma once
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <vector>

#include "FreeRTOS.h"

struct Queue {
  size_t length, size;
  std::deque<std::vector<char>> items;
  std::mutex mutex;
  std::condition_variable changed;
};
using QueueHandle_t = Queue *;

inline QueueHandle_t xQueueCreate(UBaseType_t length, UBaseType_t size) { return new Queue{length, size, {}, {}, {}}; }

inline BaseType_t xQueueSend(QueueHandle_t queue, const void *item, TickType_t) {
  std::unique_lock<std::mutex> lock(queue->mutex);
  queue->changed.wait(lock, [queue] { return queue->items.size() < queue->length; });
  const char *const bytes = static_cast<const char *>(item);
  queue->items.emplace_back(bytes, bytes + queue->size);
  return pdTRUE;
}

inline BaseType_t xQueueReceive(QueueHandle_t queue, void *item, TickType_t) {
  std::unique_lock<std::mutex> lock(queue->mutex);
  if (queue->items.empty()) return pdFALSE;
  std::memcpy(item, queue->items.front().data(), queue->size);
  queue->items.pop_front();
  queue->changed.notify_all();
  return pdTRUE;
}
