/* POOL_LANES neighbouring outputs of a row at once, with what they hold in registers while the
 * taps go by in reading order. Included for each width; the includer sets POOL_LANES. */

#define POOL(name) POOL_OF(name, POOL_LANES)

typedef real POOL(pool_vec)
    __attribute__((vector_size(POOL_LANES * sizeof(real)), aligned(sizeof(real)), may_alias));
#if REAL_IS_FLOAT
typedef int32_t POOL(pool_index) __attribute__((vector_size(POOL_LANES * sizeof(real))));
#else
typedef int64_t POOL(pool_index) __attribute__((vector_size(POOL_LANES * sizeof(real))));
#endif

#if POOL_LANES == 16
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#elif POOL_LANES == 8
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14
#elif POOL_LANES == 4
#define EVEN_LANES 0, 2, 4, 6
#else
#define EVEN_LANES 0, 2
#endif

/* Elements x[0], x[stride], x[2 stride] ...; with stride 2 one more is read than is used. */
INLINE POOL(pool_vec) POOL(pool_load)(const real *x, int stride) {
    const POOL(pool_vec) a = *(const POOL(pool_vec) *)x;
    if (stride == 1) return a;
    const POOL(pool_vec) b = *(const POOL(pool_vec) *)(x + POOL_LANES);
#if defined(__GNUC__) && !defined(__clang__)
    return __builtin_shuffle(a, b, (POOL(pool_index)){EVEN_LANES});
#else
    return __builtin_shufflevector(a, b, EVEN_LANES);
#endif
}

/* Outputs i ... i + POOL_LANES - 1 of a row whose windows have rows h and lie inside the image. */
INLINE void POOL(pool_block)(const pooling_args *p, const real *x, FN(range) h, int64_t i,
                             int stride, int what, real *y, int32_t *mask) {
    const int64_t left = i * stride - p->pad_width;
    POOL(pool_vec) best = {0};
    POOL(pool_index) index = {0}, steps = {0};
    if (what != POOL_SUM) best -= FLT_MAX;
    for (int lane = 0; lane < POOL_LANES; lane++) steps[lane] = lane * stride;
    index -= steps + 1;
    for (int64_t at = h.from; at < h.to; at++)
        for (int64_t tap = 0; tap < p->kernel_width; tap++) {
            const int64_t place = at * p->width + left + tap;
            const POOL(pool_vec) value = POOL(pool_load)(x + place, stride);
            if (what == POOL_SUM) {
                best += value;
                continue;
            }
            const POOL(pool_index) more = (POOL(pool_index))(value > best);
            best = (POOL(pool_vec))((more & (POOL(pool_index))value) |
                                    (~more & (POOL(pool_index))best));
            const POOL(pool_index) here = (POOL(pool_index)){0} + (int32_t)place;
            if (what == POOL_INDEX) index = (more & here) | (~more & index);
        }
    *(POOL(pool_vec) *)(y + i) = best;
    if (what != POOL_INDEX) return;
    index += steps;
#if REAL_IS_FLOAT
    memcpy(mask + i, &index, sizeof index);
#else
    for (int lane = 0; lane < POOL_LANES; lane++) mask[i + lane] = (int32_t)index[lane];
#endif
}

/* The outputs of `inside`, the last block overlapping the one before; false if there are too few. */
INLINE int POOL(pool_run)(const pooling_args *p, const real *x, FN(range) h, FN(range) inside,
                          int stride, int what, real *y, int32_t *mask) {
    if (inside.to - inside.from < POOL_LANES) return 0;
    for (int64_t i = inside.from; i < inside.to; i += POOL_LANES)
        POOL(pool_block)(p, x, h, MIN(i, inside.to - POOL_LANES), stride, what, y, mask);
    return 1;
}

#undef EVEN_LANES
#undef POOL
#undef POOL_LANES
