/* The self-test on the device, with the network: prints PASS or FAIL. */
#include <stdio.h>

#include "yamnet_cry_network.h"
#include "yamnet_cry_self_test.h"

static void print(const char *line) { puts(line); }

void app_main(void) { yamnet_cry_self_test(print, yamnet_cry_network_invoke); }
