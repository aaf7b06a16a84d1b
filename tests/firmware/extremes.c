/* Runs the front end on extreme signals, and for a day: prints PASS or FAIL. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "yamnet_cry.h"

static uint32_t state = 1;

static uint32_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static int16_t pattern(unsigned kind, unsigned n) {
    switch (kind) {
        case 0: return -32768;
        case 1: return 32767;
        case 2: return n & 1 ? 32767 : -32768;
        case 3: return n % 128 < 64 ? 32767 : -32768;
        case 4: return n % 36 < 18 ? 32767 : -32768;
        case 5: return next_random() & 1 ? 32767 : -32768;
        case 6: return n == 200 ? 32767 : 0;
        default: return (int16_t)(next_random() & 0xffff);
    }
}

/* All sums of the FFT stay within 32 bits, which the sanitizer checks. */
static int extremes(void) {
    static yamnet_cry_frontend frontend;
    int16_t samples[YAMNET_CRY_HOP];
    unsigned kind, hop, n, patches = 0;
    for (kind = 0; kind < 8; kind++) {
        yamnet_cry_frontend_reset(&frontend);
        for (hop = 0; hop < 200; hop++) {
            for (n = 0; n < YAMNET_CRY_HOP; n++) samples[n] = pattern(kind, hop * YAMNET_CRY_HOP + n);
            if (yamnet_cry_frontend_push(&frontend, samples) != NULL) patches++;
        }
    }
    return patches == 8 * 3;
}

/* Repeats a scene of 960 hops, 20 patches: every patch of a day equals that of the second scene. */
static int day(unsigned long hops) {
    static yamnet_cry_frontend frontend;
    static yamnet_cry_events events;
    static int16_t scene[960][YAMNET_CRY_HOP];
    static uint32_t sums[20];
    yamnet_cry_event event;
    double last_end = 0.0;
    unsigned long hop, patches = 0, ended = 0;
    unsigned n;
    for (hop = 0; hop < 960; hop++) {
        for (n = 0; n < YAMNET_CRY_HOP; n++) {
            const int loud = hop > 400 && hop < 700;
            scene[hop][n] = (int16_t)((int)(next_random() & 0x1fff) - 0x1000 + (loud ? (int)(n % 40) * 500 - 10000 : 0));
        }
    }
    yamnet_cry_frontend_reset(&frontend);
    yamnet_cry_events_reset(&events, 0.5);
    for (hop = 0; hop < hops; hop++) {
        const int8_t *patch = yamnet_cry_frontend_push(&frontend, scene[hop % 960]);
        uint32_t sum = 2166136261u;
        if (patch == NULL) continue;
        for (n = 0; n < YAMNET_CRY_PATCH * YAMNET_CRY_BANDS; n++) sum = (sum ^ (uint8_t)patch[n]) * 16777619u;
        /* The first scene follows silence; from the second on all are identical. */
        if (patches >= 20 && patches < 40) sums[patches % 20] = sum;
        if (patches >= 40 && sums[patches % 20] != sum) return 0;
        if (yamnet_cry_events_push(&events, patches % 20 >= 8 && patches % 20 < 14 ? 0.9 : 0.05, &event)) {
            ended++;
            last_end = event.end;
        }
        patches++;
    }
    printf("%lu patches, %lu events, the last until %.2f s\n", patches, ended, last_end);
    return ended == patches / 20 && patches == (hops - 98) / 48 + 1;
}

int main(int count, char **arguments) {
    const int good = extremes() && day(strtoul(count > 1 ? arguments[1] : "10000", NULL, 10));
    puts(good ? "PASS" : "FAIL");
    return good ? 0 : 1;
}
