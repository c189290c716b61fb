/* Maximum and mean of 2×2 and 3×3 windows at steps of 1 or 2, as nearly all are: rows first, whole
 * vectors of them, then neighbours within these. Lanes outside the image hold what changes nothing. */

#define WINDOW_BAND 1024 /* outputs whose inputs stay in the first cache */

INLINE VEC FN(greater)(VEC value, VEC best) { /* best unless value > best: NaN gives way */
#if defined(__AVX512F__) && REAL_IS_FLOAT
    return (VEC)_mm512_max_ps((__m512)value, (__m512)best);
#elif defined(__AVX2__) && REAL_IS_FLOAT
    return (VEC)_mm256_max_ps((__m256)value, (__m256)best);
#else
    return FN(chosen)((FN(lanes))(value > best), value, best);
#endif
}

INLINE VEC FN(gathered)(int is_max, VEC value, VEC so_far) {
    if (is_max) return FN(greater)(value, so_far);
    return so_far + value;
}

/* How many inputs or padding a mean divides by along an axis: F clipped to H + P. */
INLINE int64_t FN(divisor)(int64_t at, int64_t stride, int64_t pad, int64_t kernel, int64_t size) {
    return MIN(at * stride - pad + kernel, size + pad) - (at * stride - pad);
}

/* Outputs column … column + some - 1 of rows first … end - 1 of a plane. `widths`: the divisor of each
 * column of means; `inside`: every column that the outputs see exists. */
INLINE void FN(window_columns)(const pooling_args *p, int size, int step, const real *widths,
                               int inside, const real *x, int64_t first, int64_t end,
                               int64_t column, int64_t some, real *y) {
    const int is_max = !widths;
    const int64_t left = column * step - p->pad_width;
    const int vectors = step == 1 ? 2 : size; /* of input columns that the outputs see */
    const VEC nothing = (is_max ? -FLT_MAX : 0) - (VEC){0};
    FN(existing) lanes[3];
    if (!inside)
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++) lanes[v] = FN(existing_at)(left + v * LANES, p->width);
    for (int64_t row = first; row < end; row++) {
        const int64_t top = row * step - p->pad_height;
        VEC all[3];
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++) all[v] = nothing;
#pragma GCC unroll 3
        for (int i = 0; i < size; i++) {
            if ((uint64_t)(top + i) >= (uint64_t)p->height) continue;
#pragma GCC unroll 3
            for (int v = 0; v < vectors; v++) {
                const real *from = x + (top + i) * p->width + left + v * LANES;
                const VEC value =
                    inside ? *(const VEC *)from : FN(load_existing)(from, lanes[v], nothing);
                all[v] = FN(gathered)(is_max, value, all[v]);
            }
        }
        VEC tap[3] = {all[0]};
        if (step == 1) {
#pragma GCC unroll 3
            for (int j = 1; j < size; j++) tap[j] = FN(neighbours)(all[0], all[1], j);
        } else {
            tap[0] = FN(every_second)(all[0], all[1], 0);
            tap[1] = FN(every_second)(all[0], all[1], 1);
            if (size == 3) tap[2] = FN(neighbours)(tap[0], all[2], 1);
        }
        VEC sum = tap[0];
#pragma GCC unroll 3
        for (int j = 1; j < size; j++) sum = FN(gathered)(is_max, tap[j], sum);
        if (!is_max) {
            const int64_t rows = FN(divisor)(row, step, p->pad_height, size, p->height);
            sum /= (real)rows * FN(load_some)(widths + column, some);
        }
        FN(store_some)(y + row * p->out_width + column, sum, some);
    }
}

INLINE void FN(window_plane)(const pooling_args *p, int size, int step, const real *widths,
                             const real *x, real *y) {
    const int64_t wide = p->out_width, some = MIN(LANES, wide), band = MAX(1, WINDOW_BAND / wide);
    const int64_t reach = (step == 1 ? 2 : size) * LANES;
    for (int64_t first = 0; first < p->out_height; first += band)
        for (int64_t i = 0; i < wide; i += LANES) {
            const int64_t end = MIN(p->out_height, first + band), column = MIN(i, wide - some);
            const int64_t left = column * step - p->pad_width;
            if (left >= 0 && left + reach <= p->width && some == LANES)
                FN(window_columns)(p, size, step, widths, 1, x, first, end, column, LANES, y);
            else
                FN(window_columns)(p, size, step, widths, 0, x, first, end, column, some, y);
        }
}

typedef void FN(window_pool)(const pooling_args *p, const real *widths, const real *x, real *y);
#define WINDOWS(size, step)                                                                      \
    static void FN(windows_##size##_##step)(const pooling_args *p, const real *widths,           \
                                            const real *x, real *y) {                            \
        if (widths)                                                                              \
            FN(window_plane)(p, size, step, widths, x, y);                                       \
        else                                                                                     \
            FN(window_plane)(p, size, step, NULL, x, y);                                         \
    }
#if VECTOR_LANES > 1
WINDOWS(2, 2)
WINDOWS(3, 2)
WINDOWS(3, 1)
#endif

/* What pools a plane by such windows, the greatest of each if `widths` is NULL; NULL if there is
 * nothing for these windows. */
static FN(window_pool) *FN(small_windows)(const pooling_args *p) {
#if VECTOR_LANES > 1
    const int64_t size = p->kernel_height, step = p->stride_height;
    if (p->kernel_width != size || p->stride_width != step) return NULL;
    if (size == 2 && step == 2) return FN(windows_2_2);
    if (size == 3 && step == 2) return FN(windows_3_2);
    if (size == 3 && step == 1) return FN(windows_3_1);
#endif
    (void)p;
    return NULL;
}
