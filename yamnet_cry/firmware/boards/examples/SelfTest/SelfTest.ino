// The self-test on the device, with the network: prints PASS or FAIL.

// Arduino's builder finds a library by a header in its root; this one belongs to TFLite-Micro.
#include <Chirale_TensorFlowLite.h>

#include <yamnet_cry_network.h>
#include <yamnet_cry_self_test.h>

static void print(const char *line) { Serial.println(line); }

void setup() {
  Serial.begin(115200);
  while (!Serial) {
  }
  yamnet_cry_self_test(print, yamnet_cry_network_invoke);
}

void loop() {}
