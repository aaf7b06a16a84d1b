/* The front end: 16 kHz int16 samples to quantised log-mel patches, one hop at a time.
 *
 * Window and FFT are computed in 32-bit integers in both builds. A full-scale tone leaves rounding noise in the
 * quiet bins of an FFT: in float32 it is 2e-6 of full scale, which log(mel + 0.001) turns into up to 0.003 nepers;
 * in 32-bit integers it is a tenth of that. After the FFT, the floating-point build computes in float.
 */
#include "yamnet_cry.h"

#include <math.h>
#include <string.h>

#define YAMNET_CRY_NEEDS_FRONTEND_TABLES
#include "yamnet_cry_tables.h"

#define HALF (YAMNET_CRY_FFT / 2)
#define QUARTER (YAMNET_CRY_FFT / 4)

/* Half of a unit in Q30, to round to the nearest. */
#define HALF_UNIT ((int64_t)1 << 29)

/* Samples are in Q29. The first two stages of the FFT do not halve, the other six do: with this window, no sum then
 * reaches 2^31 for any samples. */
#define SAMPLE_BITS 29
#define HALVINGS 6

/* cos(2 pi k / 512) and sin(2 pi k / 512) in Q30, for k from 0 to 255. */
static int32_t cosine(unsigned k) {
    return k <= QUARTER ? yamnet_cry_quarter_cosine[k] : -yamnet_cry_quarter_cosine[HALF - k];
}

static int32_t sine(unsigned k) {
    return k <= QUARTER ? yamnet_cry_quarter_cosine[QUARTER - k] : yamnet_cry_quarter_cosine[k - QUARTER];
}

/* Divides by a power of two, rounding to the nearest. Right shifts of negative numbers are implementation-defined
 * in C99; the compilers for microcontrollers shift arithmetically. */
static int32_t rounded(int64_t value, unsigned bits) {
    return (int32_t)((value + ((int64_t)1 << (bits - 1))) >> bits);
}

static void apply_window(const int16_t *samples, int32_t *out) {
    unsigned n;
    for (n = 0; n < YAMNET_CRY_FRAME; n++) {
        const unsigned mirrored = n <= YAMNET_CRY_FRAME / 2 ? n : YAMNET_CRY_FRAME - n;
#ifndef YAMNET_CRY_FIXED_POINT
        /* Rounded to float32 where Python rounds, because this rounding also adds noise to a tone. */
        const float product = (float)samples[n] * (1.0f / 32768.0f) * yamnet_cry_half_window[mirrored];
        out[n] = (int32_t)lrintf(product * (float)(1UL << SAMPLE_BITS));
#else
        /* Q15 times Q30 */
        out[n] = rounded((int64_t)samples[n] * yamnet_cry_half_window_q30[mirrored], 45 - SAMPLE_BITS);
#endif
    }
    memset(out + YAMNET_CRY_FRAME, 0, sizeof(int32_t) * (YAMNET_CRY_FFT - YAMNET_CRY_FRAME));
}

/* Radix-2 FFT of 256 complex numbers in place, divided by 2^HALVINGS. */
static void transform(int32_t *z) {
    unsigned i, j = 0, size;
    for (i = 1; i < HALF; i++) {
        unsigned bit = HALF >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j |= bit;
        if (i < j) {
            const int32_t real = z[2 * i], imaginary = z[2 * i + 1];
            z[2 * i] = z[2 * j];
            z[2 * i + 1] = z[2 * j + 1];
            z[2 * j] = real;
            z[2 * j + 1] = imaginary;
        }
    }
    for (size = 2; size <= HALF; size *= 2) {
        const unsigned half = size / 2, stride = YAMNET_CRY_FFT / size, halving = size > 4 ? 1 : 0;
        for (j = 0; j < half; j++) {
            const int64_t c = cosine(j * stride), s = sine(j * stride);
            for (i = j; i < HALF; i += size) {
                int32_t *a = z + 2 * i, *b = a + size;
                const int32_t real = rounded(b[0] * c + b[1] * s, 30 + halving);
                const int32_t imaginary = rounded(b[1] * c - b[0] * s, 30 + halving);
                /* Rounds half to even: otherwise the rounding errors of all stages would add up. */
                const int32_t a0 = halving ? (a[0] + (a[0] >> 1 & 1)) >> 1 : a[0];
                const int32_t a1 = halving ? (a[1] + (a[1] >> 1 & 1)) >> 1 : a[1];
                a[0] = a0 + real;
                a[1] = a1 + imaginary;
                b[0] = a0 - real;
                b[1] = a1 - imaginary;
            }
        }
    }
}

/* Twice the bin, divided by 2^HALVINGS. */
#define BIN_BITS (SAMPLE_BITS + 1 - HALVINGS)

/* Bin k of the real FFT of 512 samples, from the complex FFT of their pairs; BIN_BITS fractional bits. */
static void real_bin(const int32_t *z, unsigned k, int64_t *real, int64_t *imaginary) {
    const int32_t *a = z + 2 * k, *b = z + 2 * (HALF - k);
    const int64_t even_real = (int64_t)a[0] + b[0], even_imaginary = (int64_t)a[1] - b[1];
    const int64_t odd_real = (int64_t)a[1] + b[1], odd_imaginary = (int64_t)b[0] - a[0];
    const int64_t c = cosine(k), s = sine(k);
    /* Twice the bin: the sums above are twice the spectra of even and of odd samples. */
    *real = even_real + ((odd_real * c + odd_imaginary * s + HALF_UNIT) >> 30);
    *imaginary = even_imaginary + ((odd_imaginary * c - odd_real * s + HALF_UNIT) >> 30);
}


#ifndef YAMNET_CRY_FIXED_POINT

void yamnet_cry_log_mel(const int16_t samples[YAMNET_CRY_FRAME], float log_mel[YAMNET_CRY_BANDS]) {
    int32_t z[YAMNET_CRY_FFT];
    float sums[YAMNET_CRY_BANDS + 2];
    unsigned n;
    apply_window(samples, z);
    transform(z);
    for (n = 0; n < YAMNET_CRY_BANDS + 2; n++) sums[n] = 0.0f;
    for (n = 0; n < YAMNET_CRY_USED_BINS; n++) {
        int64_t real, imaginary;
        float x, y, magnitude, upper;
        real_bin(z, YAMNET_CRY_FIRST_BIN + n, &real, &imaginary);
        x = (float)real;
        y = (float)imaginary;
        magnitude = sqrtf(x * x + y * y) * (1.0f / (float)(1UL << BIN_BITS));
        /* A bin is between the centres of two bands and is shared between them. */
        upper = yamnet_cry_upper_share[n] * magnitude;
        sums[yamnet_cry_upper_band[n]] += magnitude - upper;
        sums[yamnet_cry_upper_band[n] + 1] += upper;
    }
    for (n = 0; n < YAMNET_CRY_BANDS; n++) log_mel[n] = logf(sums[n + 1] + 0.001f);
}

void yamnet_cry_frame(const int16_t samples[YAMNET_CRY_FRAME], int8_t quantized[YAMNET_CRY_BANDS]) {
    float log_mel[YAMNET_CRY_BANDS];
    unsigned n;
    yamnet_cry_log_mel(samples, log_mel);
    for (n = 0; n < YAMNET_CRY_BANDS; n++) {
        float step = rintf(log_mel[n] * YAMNET_CRY_INPUT_STEPS_PER_NEPER) + (float)YAMNET_CRY_INPUT_ZERO_POINT;
        if (step < -128.0f) step = -128.0f;
        if (step > 127.0f) step = 127.0f;
        quantized[n] = (int8_t)step;
    }
}

#else

static unsigned leading_zeros(uint64_t value) {
    unsigned count = 0;
    if (!(value >> 32)) { count += 32; value <<= 32; }
    if (!(value >> 48)) { count += 16; value <<= 16; }
    if (!(value >> 56)) { count += 8; value <<= 8; }
    if (!(value >> 60)) { count += 4; value <<= 4; }
    if (!(value >> 62)) { count += 2; value <<= 2; }
    return count + (value >> 63 ? 0 : 1);
}

/* Square root of a 64-bit number, computed from its 32 most significant bits. */
static uint32_t root(uint64_t value) {
    unsigned shift;
    uint32_t rest, result = 0, bit = (uint32_t)1 << 30;
    if (value == 0) return 0;
    shift = leading_zeros(value) & ~1U;
    rest = (uint32_t)((value << shift) >> 32);
    for (; bit; bit >>= 2) {
        if (rest >= result + bit) {
            rest -= result + bit;
            result = (result >> 1) + bit;
        } else {
            result >>= 1;
        }
    }
    /* The root of the upper 32 bits has 16 bits; the root of 64 bits would have 32. */
    return (uint32_t)(((uint64_t)result << 16) >> (shift / 2));
}

/* Base-2 logarithm in Q16 of a number above 0: from its leading bit, and from a table between powers of two. */
static int32_t log2_q16(uint64_t value) {
    const unsigned zeros = leading_zeros(value);
    const uint64_t mantissa = value << zeros << 1; /* without the leading one */
    const unsigned index = (unsigned)(mantissa >> (64 - YAMNET_CRY_LOG_BITS));
    const uint32_t between = (uint32_t)(mantissa << YAMNET_CRY_LOG_BITS >> 48);
    const int32_t low = yamnet_cry_log2[index], high = yamnet_cry_log2[index + 1];
    return ((int32_t)(63 - zeros) * 65536) + low + (int32_t)(((int64_t)(high - low) * between) >> 16);
}

void yamnet_cry_frame(const int16_t samples[YAMNET_CRY_FRAME], int8_t quantized[YAMNET_CRY_BANDS]) {
    int32_t z[YAMNET_CRY_FFT];
    uint64_t sums[YAMNET_CRY_BANDS + 2];
    unsigned n;
    apply_window(samples, z);
    transform(z);
    memset(sums, 0, sizeof sums);
    for (n = 0; n < YAMNET_CRY_USED_BINS; n++) {
        int64_t real, imaginary;
        uint64_t x, y, magnitude, upper;
        real_bin(z, YAMNET_CRY_FIRST_BIN + n, &real, &imaginary);
        /* Unsigned absolute values, because squares may need all 64 bits. */
        x = (uint64_t)(real < 0 ? -real : real);
        y = (uint64_t)(imaginary < 0 ? -imaginary : imaginary);
        magnitude = root(x * x + y * y);
        upper = magnitude * yamnet_cry_upper_share_q15[n];
        sums[yamnet_cry_upper_band[n]] += (magnitude << 15) - upper;
        sums[yamnet_cry_upper_band[n] + 1] += upper;
    }
    for (n = 0; n < YAMNET_CRY_BANDS; n++) {
        /* Sums have BIN_BITS + 15 fractional bits, like the offset of 0.001. */
        const int32_t level = log2_q16(sums[n + 1] + YAMNET_CRY_LOG_OFFSET) - ((BIN_BITS + 15) * 65536);
        int32_t step = rounded((int64_t)level * YAMNET_CRY_INPUT_STEPS_PER_OCTAVE_Q16, 32);
        step += YAMNET_CRY_INPUT_ZERO_POINT;
        if (step < -128) step = -128;
        if (step > 127) step = 127;
        quantized[n] = (int8_t)step;
    }
}

#endif

void yamnet_cry_frontend_reset(yamnet_cry_frontend *frontend) {
    memset(frontend, 0, sizeof *frontend);
}

const int8_t *yamnet_cry_frontend_push(yamnet_cry_frontend *frontend, const int16_t samples[YAMNET_CRY_HOP]) {
    /* The last returned patch is no longer valid; its second half becomes the first half of the next. */
    if (frontend->frames == YAMNET_CRY_PATCH) {
        memmove(frontend->patch, frontend->patch[YAMNET_CRY_PATCH_HOP],
                sizeof frontend->patch[0] * (YAMNET_CRY_PATCH - YAMNET_CRY_PATCH_HOP));
        frontend->frames = YAMNET_CRY_PATCH - YAMNET_CRY_PATCH_HOP;
    }
    memmove(frontend->samples, frontend->samples + YAMNET_CRY_HOP, sizeof(int16_t) * 2 * YAMNET_CRY_HOP);
    memcpy(frontend->samples + 2 * YAMNET_CRY_HOP, samples, sizeof(int16_t) * YAMNET_CRY_HOP);
    if (frontend->hops < 3) frontend->hops++;
    if (frontend->hops < 3) return NULL;
    yamnet_cry_frame(frontend->samples, frontend->patch[frontend->frames]);
    frontend->frames++;
    return frontend->frames == YAMNET_CRY_PATCH ? &frontend->patch[0][0] : NULL;
}
