// Runs ESPHome's component on a computer: golden samples in, golden embeddings from a stand-in for the network.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "yamnet_cry.h"
#include "yamnet_cry_component.h"
#include "yamnet_cry_context.h"
#include "yamnet_cry_golden.h"
#include "yamnet_cry_network.h"

static bool network_runs = true;
static std::atomic<bool> network_waits{false};
static unsigned windows = 0;

extern "C" bool yamnet_cry_network_invoke(const int8_t *patch, int8_t *logits, int8_t *embedding) {
  while (network_waits) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (patch == nullptr || logits != nullptr || windows == GOLDEN_PATCHES) return false;
  std::memcpy(embedding, golden_embeddings + windows * YAMNET_CRY_EMBEDDING, YAMNET_CRY_EMBEDDING);
  windows++;
  return network_runs;
}

static void turn(esphome::yamnet_cry::YamnetCry &component) {
  component.loop();
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

int main(int, char **arguments) {
  const std::string how = arguments[1];
  static esphome::microphone::MicrophoneSource microphone;
  static esphome::binary_sensor::BinarySensor crying;
  static esphome::sensor::Sensor probability;
  static esphome::yamnet_cry::YamnetCry component;
  component.set_microphone_source(&microphone);
  component.set_crying(&crying);
  component.set_probability(&probability);
  component.set_threshold(std::stof(arguments[2]));
  network_runs = how != "fails";
  network_waits = how == "waits";
  component.setup();
  component.dump_config();
  if (!microphone.running) return 1;

  // Blocks that are not a whole number of hops.
  const uint8_t *const bytes = reinterpret_cast<const uint8_t *>(golden_samples);
  const size_t block = 2 * 37;
  for (size_t start = 0; start < sizeof golden_samples && microphone.running; start += block) {
    const size_t end = start + block < sizeof golden_samples ? start + block : sizeof golden_samples;
    microphone.give(std::vector<uint8_t>(bytes + start, bytes + end));
    // Not faster than the task reads it, unless the network waits.
    while (bytes_waiting > 10 * block && !network_waits && microphone.running) turn(component);
  }
  while (!component.is_failed() && !network_waits && probability.states.size() < GOLDEN_PATCHES) turn(component);
  component.loop();
  double difference = 0.0;
  for (size_t n = 0; n < probability.states.size(); n++) {
    const double by = probability.states[n] - yamnet_cry_probability(golden_log_odds[n]);
    if (by > difference || -by > difference) difference = by < 0 ? -by : by;
  }
  std::printf("%zu windows, largest difference %.1g, crying:", probability.states.size(), difference);
  for (bool state : crying.states) std::printf(" %d", state);
  std::printf("\n%s, microphone %s\n", component.is_failed() ? "failed" : "fine", microphone.running ? "on" : "off");
  std::fflush(stdout);
  std::_Exit(0);
}
