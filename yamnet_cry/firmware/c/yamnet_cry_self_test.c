/* Runs the golden vectors: see yamnet_cry_self_test.h. */
#include "yamnet_cry_self_test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "yamnet_cry.h"
#include "yamnet_cry_golden.h"

#ifdef GOLDEN_CONTEXT
#include "yamnet_cry_context.h"
#endif

/* int8 steps by which the network's input may differ, and the fraction of its values that may differ. */
#define STEPS 1
#define SHARE 0.005

typedef bool (*network_function)(const int8_t *patch, int8_t *logits, int8_t *embedding);

static void (*say)(const char *line);
static int failures;

static void check(const char *what, double difference, double bound) {
    const int good = difference <= bound;
    char line[96];
    snprintf(line, sizeof line, "%-28s largest difference %.3g (at most %.3g)%s", what, difference, bound,
             good ? "" : "  FAIL");
    say(line);
    if (!good) failures++;
}

static unsigned largest_step(const int8_t *found, const int8_t *expected, unsigned count) {
    unsigned n, largest = 0;
    for (n = 0; n < count; n++) {
        const unsigned steps = (unsigned)abs(found[n] - expected[n]);
        if (steps > largest) largest = steps;
    }
    return largest;
}

/* Runs the network on golden input, so that differences of the front end do not count as the network's. */
static void test_network(network_function network) {
    static int8_t logits[YAMNET_CRY_CLASSES];
#ifdef GOLDEN_CONTEXT
    static int8_t embedding[YAMNET_CRY_EMBEDDING];
    unsigned of_embeddings = 0;
#else
    int8_t *const embedding = NULL;
#endif
    unsigned n, of_logits = 0;
    for (n = 0; n < GOLDEN_PATCHES; n++) {
        unsigned steps = 256;
        if (network(golden_inputs + n * YAMNET_CRY_PATCH_HOP * YAMNET_CRY_BANDS, logits, embedding))
            steps = largest_step(logits, golden_logits + n * YAMNET_CRY_CLASSES, YAMNET_CRY_CLASSES);
        if (steps > of_logits) of_logits = steps;
#ifdef GOLDEN_CONTEXT
        steps = largest_step(embedding, golden_embeddings + n * YAMNET_CRY_EMBEDDING, YAMNET_CRY_EMBEDDING);
        if (steps > of_embeddings) of_embeddings = steps;
#endif
    }
    check("network, logits, steps", of_logits, STEPS);
#ifdef GOLDEN_CONTEXT
    check("network, embedding, steps", of_embeddings, STEPS);
#endif
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

bool yamnet_cry_self_test(void (*print)(const char *line), network_function network) {
    say = print;
    failures = 0;
    test_front_end();
    if (network != NULL) test_network(network);
    test_scores();
#ifdef GOLDEN_CONTEXT
    test_context();
#endif
    test_events();
    say(failures ? "FAIL" : "PASS");
    return failures == 0;
}
