#pragma once
#include <cstdint>
#include <functional>
#include <vector>

namespace esphome {
namespace microphone {

class MicrophoneSource {
 public:
  template <typename F>
  void add_data_callback(F &&callback) {
    this->callback_ = callback;
  }
  void start() { this->running = true; }
  void stop() { this->running = false; }
  void give(const std::vector<uint8_t> &data) { this->callback_(data); }

  bool running{false};

 private:
  std::function<void(const std::vector<uint8_t> &)> callback_;
};

}  // namespace microphone
}  // namespace esphome
