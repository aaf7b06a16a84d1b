/* The context network: from the embeddings of the last windows to the log-odds that a baby cries. Sums are exact
 * integer sums, so the results are identical to Python's, to the last bit. */
#include "yamnet_cry_context.h"

#include <math.h>
#include <string.h>

#include "yamnet_cry_context_tables.h"

#define YAMNET_CRY_LARGEST_STEP 32767.0f

void yamnet_cry_context_reset(yamnet_cry_context *context) { memset(context, 0, sizeof *context); }

float yamnet_cry_context_push(yamnet_cry_context *context, const int8_t embedding[YAMNET_CRY_EMBEDDING]) {
    int16_t input[YAMNET_CRY_CONTEXT_WIDEST];
    float log_odds = 0.0f;
    unsigned n, in, out, tap;
    for (in = 0; in < YAMNET_CRY_EMBEDDING; in++) {
        input[in] = (int16_t)(embedding[in] - YAMNET_CRY_EMBEDDING_ZERO_POINT);
    }
    for (n = 0; n < YAMNET_CRY_CONTEXT_LAYERS; n++) {
        const yamnet_cry_context_layer *const layer = &yamnet_cry_context_layers[n];
        /* A ring buffer of the layer's inputs in the last windows. */
        int16_t *const rows = context->rows + layer->offset;
        const unsigned slots = (layer->taps - 1) * layer->dilation + 1;
        const unsigned newest = context->newest[n];
        memcpy(rows + newest * layer->inputs, input, layer->inputs * sizeof *input);
        context->newest[n] = (uint16_t)((newest + 1) % slots);
        for (out = 0; out < layer->outputs; out++) {
            int32_t sum = 0;
            float value;
            for (tap = 0; tap < layer->taps; tap++) {
                const unsigned age = (layer->taps - 1 - tap) * layer->dilation;
                const int16_t *const row = rows + (newest + slots - age) % slots * layer->inputs;
                const int8_t *const weights = layer->weights + (tap * layer->outputs + out) * layer->inputs;
                for (in = 0; in < layer->inputs; in++) sum += (int32_t)weights[in] * row[in];
            }
            value = (float)sum * layer->multiplier[out];
            value += layer->bias[out];
            log_odds = value;
            value = floorf(value + 0.5f);
            if (value < 0.0f) value = 0.0f;
            if (value > YAMNET_CRY_LARGEST_STEP) value = YAMNET_CRY_LARGEST_STEP;
            input[out] = (int16_t)value;
        }
    }
    return log_odds;
}
