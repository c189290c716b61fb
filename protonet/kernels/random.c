/* Random numbers by counter: word i of a stream is a function of key, stream and i alone, so
 * they do not depend on the team, on the instruction set or on what was drawn before.
 * Philox4x32-10 of Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (2011). */

#define PHILOX_LANES 64
#define PHILOX_WORDS (4 * PHILOX_LANES)

/* words[j * PHILOX_LANES + lane] = word j of counter block * PHILOX_LANES + lane. */
static void FN(philox)(uint64_t key, uint64_t stream, uint64_t block, uint32_t *restrict words) {
    SIMD
    for (int lane = 0; lane < PHILOX_LANES; lane++) {
        const uint64_t counter = block * PHILOX_LANES + (uint64_t)lane;
        uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32);
        uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
        uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
#pragma GCC unroll 10
        for (int round = 0; round < 10; round++) {
            const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
            c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
            c1 = (uint32_t)p1;
            c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
            c3 = (uint32_t)p0;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        words[lane] = c0;
        words[1 * PHILOX_LANES + lane] = c1;
        words[2 * PHILOX_LANES + lane] = c2;
        words[3 * PHILOX_LANES + lane] = c3;
    }
}

/* Elements are dropped where their word is below ratio 2^32. */
KERNEL(dropout) {
    ARGS(dropout);
    const real *x = a->x;
    real *y = a->y;
    uint8_t *mask = a->mask;
    uint64_t *state = a->state;
    const uint64_t key = state[RANDOM_KEY], stream = state[RANDOM_PASS];
    const uint32_t threshold = (uint32_t)MIN(a->ratio * 4294967296.0, 4294967295.0);
    const real scale = (real)a->scale;
    PARALLEL_FOR(a->n * 4)
    for (int64_t start = 0; start < a->n; start += PHILOX_WORDS) {
        uint32_t words[PHILOX_WORDS];
        FN(philox)(key, stream, (uint64_t)(start / PHILOX_WORDS), words);
        const int64_t some = MIN(PHILOX_WORDS, a->n - start);
        SIMD
        for (int64_t i = 0; i < some; i++) {
            const int keep = words[i] >= threshold;
            mask[start + i] = (uint8_t)keep;
            y[start + i] = keep ? x[start + i] * scale : 0;
        }
    }
    state[RANDOM_PASS]++;
}

KERNEL(dropout_backward) {
    ARGS(dropout_backward);
    const real *dy = a->dy;
    const uint8_t *mask = a->mask;
    real *dx = a->dx;
    const real scale = (real)a->scale;
    FOR_EACH(i, a->n, 1) dx[i] = mask[i] ? dy[i] * scale : 0;
}
