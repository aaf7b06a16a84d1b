/* The golden vectors, on a computer or on the device. Not needed in a product: linkers drop what nobody calls. */
#ifndef YAMNET_CRY_SELF_TEST_H
#define YAMNET_CRY_SELF_TEST_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Compares every step from samples to events with the golden vectors. Calls `print` with a line for each, with the
 * largest difference, and last with PASS or FAIL. `network` is yamnet_cry_network_invoke, or NULL to test without.
 * Returns whether all passed. Needs 4 KB of stack, and what the network needs. */
bool yamnet_cry_self_test(void (*print)(const char *line),
                          bool (*network)(const int8_t *patch, int8_t *logits, int8_t *embedding));

#ifdef __cplusplus
}
#endif

#endif
