/* The network in TFLite-Micro, with only the operators and the arena that it needs. */
#ifndef YAMNET_CRY_NETWORK_H
#define YAMNET_CRY_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs the network on a patch, [96][64] int8. Writes 521 int8 logits, and the embedding for yamnet_cry_context_push;
 * pass NULL for outputs that are not needed. The first call prepares the interpreter. Returns false if the network
 * cannot run: the arena is too small, or TFLite-Micro is too old for the model. Not thread-safe. */
bool yamnet_cry_network_invoke(const int8_t *patch, int8_t *logits, int8_t *embedding);

#ifdef __cplusplus
}
#endif

#endif
