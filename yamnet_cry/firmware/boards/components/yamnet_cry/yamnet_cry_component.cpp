#include "yamnet_cry_component.h"

#ifdef USE_ESP32

#include <vector>

#include "esphome/core/log.h"

#include "yamnet_cry.h"
#include "yamnet_cry_network.h"
#if __has_include("yamnet_cry_context.h")
#include "yamnet_cry_context.h"
#endif

namespace esphome {
namespace yamnet_cry {

static const char *const TAG = "yamnet_cry";

static constexpr size_t HOP_BYTES = YAMNET_CRY_HOP * sizeof(int16_t);
// One second of sound, because the network runs between two hops.
static constexpr size_t BUFFER_BYTES = 100 * HOP_BYTES;
static constexpr uint32_t STACK_BYTES = 8192;
static constexpr UBaseType_t PRIORITY = 1;
static constexpr UBaseType_t QUEUE_LENGTH = 4;

void YamnetCry::setup() {
  this->samples_ = xStreamBufferCreate(BUFFER_BYTES, HOP_BYTES);
  this->heard_ = xQueueCreate(QUEUE_LENGTH, sizeof(Heard));
  if (this->samples_ == nullptr || this->heard_ == nullptr ||
      xTaskCreate(YamnetCry::task, "yamnet_cry", STACK_BYTES, this, PRIORITY, nullptr) != pdPASS) {
    ESP_LOGE(TAG, "Not enough memory");
    this->mark_failed();
    return;
  }
  this->source_->add_data_callback([this](const std::vector<uint8_t> &data) {
    // A block is stored whole or dropped: after half a sample, all following samples would be noise.
    if (xStreamBufferSpacesAvailable(this->samples_) < data.size()) {
      this->lost_ += data.size();
    } else {
      xStreamBufferSend(this->samples_, data.data(), data.size(), 0);
    }
  });
  this->source_->start();
}

void YamnetCry::task(void *component) {
  static_cast<YamnetCry *>(component)->hear_();
  vTaskDelete(nullptr);
}

void YamnetCry::hear_() {
  // Static because of their size; safe, because there is one network and therefore one component.
  static yamnet_cry_frontend frontend;
  static yamnet_cry_events events;
#ifdef YAMNET_CRY_CONTEXT_H
  static yamnet_cry_context context;
  static int8_t embedding[YAMNET_CRY_EMBEDDING];
  yamnet_cry_context_reset(&context);
#else
  static int8_t logits[YAMNET_CRY_CLASSES];
#endif
  yamnet_cry_frontend_reset(&frontend);
  yamnet_cry_events_reset(&events, this->threshold_);

  int16_t samples[YAMNET_CRY_HOP];
  size_t filled = 0;
  for (;;) {
    uint8_t *const bytes = reinterpret_cast<uint8_t *>(samples);
    filled += xStreamBufferReceive(this->samples_, bytes + filled, HOP_BYTES - filled, portMAX_DELAY);
    if (filled < HOP_BYTES)
      continue;
    filled = 0;
    const int8_t *const patch = yamnet_cry_frontend_push(&frontend, samples);
    if (patch == nullptr)
      continue;
    Heard heard{};
#ifdef YAMNET_CRY_CONTEXT_H
    heard.ran = yamnet_cry_network_invoke(patch, nullptr, embedding);
    const double log_odds = heard.ran ? yamnet_cry_context_push(&context, embedding) : 0.0;
#else
    heard.ran = yamnet_cry_network_invoke(patch, logits, nullptr);
    const double log_odds = heard.ran ? yamnet_cry_log_odds(yamnet_cry_score(logits)) : 0.0;
#endif
    if (heard.ran) {
      yamnet_cry_event ended;
      const double probability = yamnet_cry_probability(log_odds);
      yamnet_cry_events_push(&events, probability, &ended);
      heard.crying = events.active;
      heard.probability = static_cast<float>(probability);
    }
    xQueueSend(this->heard_, &heard, portMAX_DELAY);
    if (!heard.ran)
      return;
  }
}

void YamnetCry::loop() {
  Heard heard;
  while (xQueueReceive(this->heard_, &heard, 0) == pdTRUE) {
    if (!heard.ran) {
      ESP_LOGE(TAG, "The network cannot run: its arena is too small, or TFLite-Micro is too old");
      this->source_->stop();
      this->mark_failed();
      return;
    }
#ifdef USE_SENSOR
    if (this->probability_ != nullptr)
      this->probability_->publish_state(heard.probability);
#endif
#ifdef USE_BINARY_SENSOR
    if (this->crying_ != nullptr)
      this->crying_->publish_state(heard.crying);
#endif
  }
  const size_t lost = this->lost_.exchange(0);
  if (lost > 0)
    ESP_LOGW(TAG, "%u bytes of audio were dropped: the network is slower than real time", (unsigned) lost);
}

void YamnetCry::dump_config() {
  ESP_LOGCONFIG(TAG, "yamnet-cry:\n  Threshold: %.2f\n  Network: %d bytes", this->threshold_, YAMNET_CRY_MODEL_BYTES);
}

}  // namespace yamnet_cry
}  // namespace esphome

#endif
