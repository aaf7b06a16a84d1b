#pragma once

#include "esphome/core/defines.h"

#ifdef USE_ESP32

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <freertos/FreeRTOS.h>
#include <freertos/queue.h>
#include <freertos/stream_buffer.h>
#include <freertos/task.h>

#include "esphome/components/microphone/microphone_source.h"
#include "esphome/core/component.h"
#ifdef USE_BINARY_SENSOR
#include "esphome/components/binary_sensor/binary_sensor.h"
#endif
#ifdef USE_SENSOR
#include "esphome/components/sensor/sensor.h"
#endif

#include "yamnet_cry_model.h"

namespace esphome {
namespace yamnet_cry {

/// Runs the network in a separate task, because it takes longer than loop() may; loop() publishes the results.
class YamnetCry : public Component {
 public:
  void setup() override;
  void loop() override;
  void dump_config() override;
  float get_setup_priority() const override { return setup_priority::AFTER_CONNECTION; }

  void set_microphone_source(microphone::MicrophoneSource *source) { this->source_ = source; }
  void set_threshold(float threshold) { this->threshold_ = threshold; }
#ifdef USE_BINARY_SENSOR
  void set_crying(binary_sensor::BinarySensor *crying) { this->crying_ = crying; }
#endif
#ifdef USE_SENSOR
  void set_probability(sensor::Sensor *probability) { this->probability_ = probability; }
#endif

 protected:
  /// The result of a window.
  struct Heard {
    bool ran;
    bool crying;
    float probability;
  };

  static void task(void *component);
  void hear_();

  microphone::MicrophoneSource *source_{nullptr};
#ifdef USE_BINARY_SENSOR
  binary_sensor::BinarySensor *crying_{nullptr};
#endif
#ifdef USE_SENSOR
  sensor::Sensor *probability_{nullptr};
#endif
  double threshold_{YAMNET_CRY_THRESHOLD};
  StreamBufferHandle_t samples_{nullptr};
  QueueHandle_t heard_{nullptr};
  std::atomic<size_t> lost_{0};  // bytes of sound dropped since the loop last reported them
};

}  // namespace yamnet_cry
}  // namespace esphome

#endif
