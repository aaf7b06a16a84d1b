/* Self-test: runs the golden vectors on the host or on the device, and prints PASS with the largest difference.
 *
 *     cc -std=c99 *.c -lm && ./a.out
 *
 * With YAMNET_CRY_SELFTEST_NETWORK, yamnet_cry_network_invoke of yamnet_cry_network.cc is tested, too.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "yamnet_cry.h"
#include "yamnet_cry_golden.h"

#ifdef GOLDEN_CONTEXT
#include "yamnet_cry_context.h"
#endif

#ifdef YAMNET_CRY_SELFTEST_NETWORK
#include "yamnet_cry_network.h"
#endif

/* int8 steps by which the input may differ, and the share of values that may. */
#define STEPS 1
#define SHARE 0.005

static int failures = 0;

static void check(const char *what, double difference, double bound) {
    const int good = difference <= bound;
    printf("%-28s largest difference %.3g (at most %.3g)%s\n", what, difference, bound, good ? "" : "  FAIL");
    if (!good) failures++;
}

static void test_front_end(void) {
    static yamnet_cry_frontend frontend;
    unsigned hop, n, patches = 0, differing = 0, largest = 0;
    yamnet_cry_frontend_reset(&frontend);
    for (hop = 0; hop < GOLDEN_HOPS; hop++) {
        const int8_t *patch = yamnet_cry_frontend_push(&frontend, golden_samples + hop * YAMNET_CRY_HOP);
        if (patch == NULL) continue;
        for (n = 0; n < YAMNET_CRY_PATCH * YAMNET_CRY_BANDS; n++) {
            const int expected = golden_inputs[patches * YAMNET_CRY_PATCH_HOP * YAMNET_CRY_BANDS + n];
            const unsigned steps = (unsigned)abs(patch[n] - expected);
            if (steps > 0) differing++;
            if (steps > largest) largest = steps;
        }
#ifdef YAMNET_CRY_SELFTEST_NETWORK
        {
            static int8_t logits[YAMNET_CRY_CLASSES];
            unsigned network = 0;
            /* On golden input, so that a step in the front end is not blamed on the network. */
            const int8_t *input = golden_inputs + patches * YAMNET_CRY_PATCH_HOP * YAMNET_CRY_BANDS;
            if (!yamnet_cry_network_invoke(input, logits, NULL)) network = 256;
            for (n = 0; n < YAMNET_CRY_CLASSES; n++) {
                const unsigned steps = (unsigned)abs(logits[n] - golden_logits[patches * YAMNET_CRY_CLASSES + n]);
                if (steps > network) network = steps;
            }
            check("network, steps", network, STEPS);
        }
#endif
        patches++;
    }
    check("patches missing", abs((int)GOLDEN_PATCHES - (int)patches), 0);
    check("network input, steps", largest, STEPS);
    check("network input, share", differing / (double)(GOLDEN_PATCHES * YAMNET_CRY_PATCH * YAMNET_CRY_BANDS), SHARE);
#ifndef YAMNET_CRY_FIXED_POINT
    {
        double difference = 0.0;
        unsigned frame;
        for (frame = 0; frame < GOLDEN_LOG_MEL_FRAMES; frame++) {
            float log_mel[YAMNET_CRY_BANDS];
            yamnet_cry_log_mel(golden_samples + frame * YAMNET_CRY_HOP, log_mel);
            for (n = 0; n < YAMNET_CRY_BANDS; n++) {
                const double by = fabs((double)log_mel[n] - (double)golden_log_mel[frame * YAMNET_CRY_BANDS + n]);
                if (by > difference) difference = by;
            }
        }
        check("log-mel, nepers", difference, 1e-3);
    }
#endif
}

static void test_scores(void) {
    double scores = 0.0, probabilities = 0.0;
    unsigned n;
    for (n = 0; n < GOLDEN_PATCHES; n++) {
        const float score = yamnet_cry_score(golden_logits + n * YAMNET_CRY_CLASSES);
        const double log_odds = yamnet_cry_log_odds(score);
        scores = fmax(scores, fabs((double)score - golden_scores[n]));
        probabilities = fmax(probabilities, fabs(yamnet_cry_probability(log_odds) - golden_probabilities[n]));
    }
    check("score", scores, 1e-6);
    check("probability", probabilities, 1e-5);
}

#ifdef GOLDEN_CONTEXT
static void test_context(void) {
    static yamnet_cry_context context;
    double difference = 0.0;
    unsigned n;
    yamnet_cry_context_reset(&context);
    for (n = 0; n < GOLDEN_CONTEXT; n++) {
        const float log_odds = yamnet_cry_context_push(&context, golden_embeddings + n * YAMNET_CRY_EMBEDDING);
        difference = fmax(difference, fabs((double)log_odds - (double)golden_log_odds[n]));
    }
    check("context, log-odds", difference, 0);
}
#endif

static void test_events(void) {
    static yamnet_cry_events events;
    yamnet_cry_event ended;
    double difference = 0.0;
    unsigned n, found = 0;
    yamnet_cry_events_reset(&events, GOLDEN_THRESHOLD);
    for (n = 0; n <= GOLDEN_TRACK; n++) {
        const bool is = n < GOLDEN_TRACK ? yamnet_cry_events_push(&events, golden_track[n], &ended)
                                         : yamnet_cry_events_finish(&events, &ended);
        if (!is) continue;
        if (found < GOLDEN_EVENTS) {
            const double *expected = golden_events + 4 * found;
            difference = fmax(difference, fabs(ended.start - expected[0]));
            difference = fmax(difference, fabs(ended.end - expected[1]));
            difference = fmax(difference, fabs(ended.peak - expected[2]));
            difference = fmax(difference, fabs(ended.mean - expected[3]));
        }
        found++;
    }
    check("events missing", abs((int)GOLDEN_EVENTS - (int)found), 0);
    check("events", difference, 1e-9);
}

int main(void) {
    test_front_end();
    test_scores();
#ifdef GOLDEN_CONTEXT
    test_context();
#endif
    test_events();
    puts(failures ? "FAIL" : "PASS");
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
