/* The self-test on a computer, without the network: prints PASS or FAIL. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "yamnet_cry_self_test.h"

static void print(const char *line) { puts(line); }

int main(void) { return yamnet_cry_self_test(print, NULL) ? EXIT_SUCCESS : EXIT_FAILURE; }
