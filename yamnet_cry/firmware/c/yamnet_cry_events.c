/* After the network: from int8 logits to a score, a probability, and events. */
#include "yamnet_cry.h"

#include <math.h>
#include <string.h>

#define YAMNET_CRY_NEEDS_EVENT_TABLES
#include "yamnet_cry_tables.h"

float yamnet_cry_score(const int8_t logits[YAMNET_CRY_CLASSES]) {
    uint64_t sum = 0;
    int highest = -128;
    unsigned n;
    for (n = 0; n < YAMNET_CRY_CLASSES; n++) {
        if (logits[n] > highest) highest = logits[n];
    }
    /* Differences between int8 logits have 256 possible values: their exponentials are in a table. */
    for (n = 0; n < YAMNET_CRY_CLASSES; n++) sum += yamnet_cry_exponential[highest - logits[n]];
    return (float)((double)((uint64_t)yamnet_cry_exponential[highest - logits[YAMNET_CRY_CLASS_CRYING]] +
                            yamnet_cry_exponential[highest - logits[YAMNET_CRY_CLASS_BABY_CRY]]) /
                   (double)sum);
}

double yamnet_cry_log_odds(float score) {
    double s = (double)score;
    /* Scores of exactly 0 and 1 have no log-odds. */
    if (s < 1e-6) s = 1e-6;
    if (s > 1 - 1e-6) s = 1 - 1e-6;
    return log(s) - log1p(-s);
}

double yamnet_cry_probability(double log_odds) {
    return 0.5 * (1.0 + tanh(0.5 * (YAMNET_CRY_SLOPE * log_odds + YAMNET_CRY_INTERCEPT)));
}

/* The time of the start of a window plus a number of half hops. Hundredths of a second are whole numbers, so that
 * no rounding error accumulates over months. */
static double seconds(uint32_t window, int half_hops) { return (window * 48.0 + half_hops * 24.0) / 100.0; }

static double largest(double a, double b) { return a > b ? a : b; }

/* Extends the event up to window `number`, including the pending windows before it. */
static void extend(yamnet_cry_events *events, uint32_t number) {
    events->last = number;
    events->peak = largest(events->peak, events->pending_peak);
    events->sum += events->pending_sum;
    events->pending_peak = events->pending_sum = 0.0;
}

static void vote(yamnet_cry_events *events, double probability, bool in_favour) {
    unsigned n;
    if (events->votes_held == YAMNET_CRY_VOTE_WINDOW) {
        for (n = 1; n < YAMNET_CRY_VOTE_WINDOW; n++) {
            events->vote[n - 1] = events->vote[n];
            events->vote_probability[n - 1] = events->vote_probability[n];
        }
        events->votes_held--;
    }
    events->vote[events->votes_held] = in_favour;
    events->vote_probability[events->votes_held] = probability;
    events->votes_held++;
}

static void maybe_start(yamnet_cry_events *events, uint32_t number, unsigned votes) {
    unsigned n, first = 0, in_favour = 0;
    for (n = 0; n < events->votes_held; n++) in_favour += events->vote[n] ? 1u : 0u;
    if (in_favour < votes) return;
    while (!events->vote[first]) first++;
    events->active = true;
    events->begin = number - (events->votes_held - 1 - first);
    events->peak = events->sum = events->pending_peak = events->pending_sum = 0.0;
    for (n = first; n < events->votes_held; n++) {
        events->pending_peak = largest(events->pending_peak, events->vote_probability[n]);
        events->pending_sum += events->vote_probability[n];
    }
    extend(events, number);
}

void yamnet_cry_events_reset(yamnet_cry_events *events, double threshold) {
    memset(events, 0, sizeof *events);
    events->threshold = threshold;
}

bool yamnet_cry_events_push(yamnet_cry_events *events, double probability, yamnet_cry_event *ended) {
    const uint32_t number = events->count++;
    const unsigned held = events->count < YAMNET_CRY_SMOOTHING ? (unsigned)events->count : YAMNET_CRY_SMOOTHING;
    double average = 0.0;
    unsigned n;
    for (n = 1; n < YAMNET_CRY_SMOOTHING; n++) events->recent[n - 1] = events->recent[n];
    events->recent[YAMNET_CRY_SMOOTHING - 1] = probability;
    for (n = YAMNET_CRY_SMOOTHING - held; n < YAMNET_CRY_SMOOTHING; n++) average += events->recent[n];
    average /= held;
    vote(events, probability, average >= events->threshold);
    if (!events->active) {
        maybe_start(events, number, YAMNET_CRY_VOTES);
        return false;
    }
    events->pending_peak = largest(events->pending_peak, probability);
    events->pending_sum += probability;
    if (average >= events->threshold * YAMNET_CRY_RELEASE) {
        extend(events, number);
    } else if ((number - events->last) * 0.48 > YAMNET_CRY_HOLD_SECONDS) {
        return yamnet_cry_events_finish(events, ended);
    }
    return false;
}

bool yamnet_cry_events_finish(yamnet_cry_events *events, yamnet_cry_event *ended) {
    /* If the sound is shorter than the vote, all windows must be in favour. */
    if (!events->active && events->count > 0 && events->count < YAMNET_CRY_VOTES)
        maybe_start(events, events->count - 1, (unsigned)events->count);
    if (!events->active) return false;
    ended->start = seconds(events->begin, 0);
    /* The middle of the windows of the event's last average; or the end of the sound, if the event lasts until it. */
    ended->end = events->last == events->count - 1
                     ? seconds(events->last, 4)
                     : largest(seconds(events->last, 3 - (int)YAMNET_CRY_SMOOTHING), seconds(events->begin, 2));
    ended->peak = events->peak;
    ended->mean = events->sum / (double)(events->last - events->begin + 1);
    events->active = false;
    events->votes_held = 0;
    return true;
}
