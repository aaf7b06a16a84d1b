/* yamnet-cry on a microcontroller: YAMNet's front end before the network, and scores and events after it.
 *
 * C99, no heap, no library except libm. The state of a stream is in structures that the caller allocates.
 *
 *     static yamnet_cry_frontend frontend;
 *     static yamnet_cry_context context;
 *     static yamnet_cry_events events;
 *     yamnet_cry_frontend_reset(&frontend);
 *     yamnet_cry_context_reset(&context);
 *     yamnet_cry_events_reset(&events, YAMNET_CRY_THRESHOLD);
 *     for (;;) {
 *         const int8_t *patch = yamnet_cry_frontend_push(&frontend, 160 new samples);
 *         if (patch == NULL) continue;               ... a patch is complete every 48 hops of 10 ms
 *         run the network on patch, 96 x 64 int8; it returns 521 int8 logits and an embedding
 *         double probability = yamnet_cry_probability(yamnet_cry_context_push(&context, embedding));
 *         yamnet_cry_event event;
 *         if (yamnet_cry_events_push(&events, probability, &event)) ...crying from event.start to event.end
 *     }
 *
 * The context network is declared in yamnet_cry_context.h. If the kit lacks that file, its model classifies each
 * window alone: use yamnet_cry_log_odds(yamnet_cry_score(logits)) instead.
 *
 * Define YAMNET_CRY_FIXED_POINT for chips without a floating-point unit: the front end then computes in integers.
 */
#ifndef YAMNET_CRY_H
#define YAMNET_CRY_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define YAMNET_CRY_HOP 160          /* samples at 16 kHz: 10 ms */
#define YAMNET_CRY_FRAME 400        /* samples in a frame */
#define YAMNET_CRY_FFT 512          /* points; frames are zero-padded */
#define YAMNET_CRY_BANDS 64         /* mel bands, 125 to 7500 Hz */
#define YAMNET_CRY_PATCH 96         /* frames in a patch: 0.96 s */
#define YAMNET_CRY_PATCH_HOP 48     /* frames from a patch to the next: 0.48 s */
#define YAMNET_CRY_CLASSES 521      /* AudioSet classes; number of logits of the network */

/* The front end's state, 7,108 bytes. A call also needs up to 3 KB of stack. */
typedef struct {
    int16_t samples[3 * YAMNET_CRY_HOP]; /* the last 30 ms */
    uint16_t hops;                       /* number of hops in `samples`, up to 3 */
    uint16_t frames;                     /* number of frames in `patch` */
    int8_t patch[YAMNET_CRY_PATCH][YAMNET_CRY_BANDS];
} yamnet_cry_frontend;

/* Clears the state. Call it before the first hop of a stream. */
void yamnet_cry_frontend_reset(yamnet_cry_frontend *frontend);

/* Processes the next 160 samples, 16 kHz and 16 bit. Returns the network's input, [96][64] int8, when a patch is
 * complete: first after 98 hops, then after every 48; NULL otherwise. The patch is valid until the next call. */
const int8_t *yamnet_cry_frontend_push(yamnet_cry_frontend *frontend, const int16_t samples[YAMNET_CRY_HOP]);

/* Computes a single frame: 400 samples to 64 quantised log-mel values. */
void yamnet_cry_frame(const int16_t samples[YAMNET_CRY_FRAME], int8_t quantized[YAMNET_CRY_BANDS]);

#ifndef YAMNET_CRY_FIXED_POINT
/* The same without quantisation: natural logarithms, in nepers. Only in the floating-point build. */
void yamnet_cry_log_mel(const int16_t samples[YAMNET_CRY_FRAME], float log_mel[YAMNET_CRY_BANDS]);
#endif

/* softmax(logits)[19] + softmax(logits)[20], in [0, 1], from the network's int8 output. */
float yamnet_cry_score(const int8_t logits[YAMNET_CRY_CLASSES]);

/* log(score / (1 - score)), with the score clipped so that it is finite: the input of the calibration for models
 * without a context network. */
double yamnet_cry_log_odds(float score);

/* The probability that a baby cries, in [0, 1], from log-odds: the calibration of this model. */
double yamnet_cry_probability(double log_odds);

/* An event: a period of crying. Times in seconds since the reset. */
typedef struct {
    double start; /* start of its first window */
    double end;   /* middle of the windows of its last average; end of the sound if it lasts until then */
    double peak;  /* highest probability of its windows */
    double mean;  /* mean probability of its windows */
} yamnet_cry_event;

#define YAMNET_CRY_LONGEST_SMOOTHING 16
#define YAMNET_CRY_LONGEST_VOTE 16

/* State of event detection, which takes one probability per window, like the detector in Python. */
typedef struct {
    double threshold;
    double recent[YAMNET_CRY_LONGEST_SMOOTHING];
    double vote_probability[YAMNET_CRY_LONGEST_VOTE];
    bool vote[YAMNET_CRY_LONGEST_VOTE];
    uint32_t count;      /* number of windows so far */
    uint32_t votes_held; /* number of values in `vote` */
    bool active;
    uint32_t begin, last;
    double peak, sum, pending_peak, pending_sum;
} yamnet_cry_events;

/* Clears the state. An event starts when enough averages are at least `threshold`. */
void yamnet_cry_events_reset(yamnet_cry_events *events, double threshold);

/* Processes the probability of the next window. If an event ended, fills `ended` and returns true. */
bool yamnet_cry_events_push(yamnet_cry_events *events, double probability, yamnet_cry_event *ended);

/* Ends the active event, if there is one: fills `ended` and returns true. Call it at the end of a stream. */
bool yamnet_cry_events_finish(yamnet_cry_events *events, yamnet_cry_event *ended);

#ifdef __cplusplus
}
#endif

#endif
