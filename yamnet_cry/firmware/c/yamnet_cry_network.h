/* The network in TFLite-Micro, with the operators and the arena that it needs and no more. */
#ifndef YAMNET_CRY_NETWORK_H
#define YAMNET_CRY_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Turns a patch, [96][64] int8, into 521 int8 logits, and into the embedding that yamnet_cry_context_push takes; NULL
 * for what is not wanted. The first call prepares the interpreter. Returns false if it cannot: then the arena is too
 * small, or TFLite-Micro too old for the model. Not for two tasks at a time. */
bool yamnet_cry_network_invoke(const int8_t *patch, int8_t *logits, int8_t *embedding);

#ifdef __cplusplus
}
#endif

#endif
