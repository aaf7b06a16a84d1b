#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "FreeRTOS.h"

struct StreamBuffer {
  size_t size;
  std::deque<uint8_t> bytes;
  std::mutex mutex;
  std::condition_variable filled;
};
using StreamBufferHandle_t = StreamBuffer *;

// Bytes in the only buffer, so that the sender can wait until they are read.
inline std::atomic<size_t> bytes_waiting{0};

inline StreamBufferHandle_t xStreamBufferCreate(size_t size, size_t) { return new StreamBuffer{size, {}, {}, {}}; }

inline size_t xStreamBufferSpacesAvailable(StreamBufferHandle_t buffer) {
  std::unique_lock<std::mutex> lock(buffer->mutex);
  return buffer->size - buffer->bytes.size();
}

inline size_t xStreamBufferSend(StreamBufferHandle_t buffer, const void *data, size_t size, TickType_t) {
  std::unique_lock<std::mutex> lock(buffer->mutex);
  const uint8_t *const bytes = static_cast<const uint8_t *>(data);
  buffer->bytes.insert(buffer->bytes.end(), bytes, bytes + size);
  bytes_waiting = buffer->bytes.size();
  buffer->filled.notify_all();
  return size;
}

// Returns the available bytes, even if fewer than requested, as FreeRTOS does.
inline size_t xStreamBufferReceive(StreamBufferHandle_t buffer, void *data, size_t size, TickType_t) {
  std::unique_lock<std::mutex> lock(buffer->mutex);
  buffer->filled.wait(lock, [buffer] { return !buffer->bytes.empty(); });
  const size_t count = std::min(size, buffer->bytes.size());
  std::copy_n(buffer->bytes.begin(), count, static_cast<uint8_t *>(data));
  buffer->bytes.erase(buffer->bytes.begin(), buffer->bytes.begin() + static_cast<long>(count));
  bytes_waiting = buffer->bytes.size();
  return count;
}
