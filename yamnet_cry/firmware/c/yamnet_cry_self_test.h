/* A self-test with golden vectors, on a computer or on the device. The linker removes it if it is not called. */
#ifndef YAMNET_CRY_SELF_TEST_H
#define YAMNET_CRY_SELF_TEST_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Compares every step from samples to events with the golden vectors. Calls `print` with a line per step, which
 * contains the largest difference, and finally with PASS or FAIL. `network` is yamnet_cry_network_invoke, or NULL to
 * skip the network. Returns whether all steps passed. Needs 4 KB of stack, in addition to that of the network. */
bool yamnet_cry_self_test(void (*print)(const char *line),
                          bool (*network)(const int8_t *patch, int8_t *logits, int8_t *embedding));

#ifdef __cplusplus
}
#endif

#endif
