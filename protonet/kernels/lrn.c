/* Local response normalisation: y = x s^-beta, s = k + alpha / n * (sum of x² over a window of n
 * channels, or of n×n positions). Windows are added up afresh for every element: a running sum
 * would carry the rounding of large values into small ones. */

#if defined(__AVX512F__) && REAL_IS_FLOAT
/* 1 / sqrt(s) of normal numbers, within two units of the last place. */
INLINE __m512 FN(inverse_root)(__m512 s) {
    const __m512 r = _mm512_rsqrt14_ps(s), half = _mm512_set1_ps(0.5f);
    const __m512 error = _mm512_fnmadd_ps(_mm512_mul_ps(s, r), r, _mm512_set1_ps(1));
    return _mm512_fmadd_ps(_mm512_mul_ps(r, half), error, r);
}

/* How many of the first vectors of s are done: p = s^-0.75 without roots and quotients, which take most
 * of the time; up to one with an element that is not normal, or negative. */
static int64_t FN(lrn_normal)(const real *s, real *p, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const __m512 value = _mm512_loadu_ps(s + i), r = FN(inverse_root)(value);
        if (_mm512_cmp_ps_mask(value, _mm512_set1_ps(FLT_MIN), _CMP_NGE_UQ) |
            _mm512_cmp_ps_mask(value, _mm512_set1_ps(FLT_MAX), _CMP_NLE_UQ))
            break;
        _mm512_storeu_ps(p + i, _mm512_mul_ps(_mm512_mul_ps(r, FN(inverse_root)(r)), r));
    }
    return i;
}
#else
INLINE int64_t FN(lrn_normal)(const real *s, real *p, int64_t n) {
    (void)s, (void)p, (void)n;
    return 0;
}
#endif

/* p[i] = s[i]^-beta. */
static void FN(lrn_factor)(const real *s, real *p, int64_t n, double beta) {
    if (beta == 0.75) {
        const int64_t done = FN(lrn_normal)(s, p, n);
        s += done, p += done, n -= done;
        SIMD
        for (int64_t i = 0; i < n; i++) {
            const real root = (real)sqrt(s[i]);
            p[i] = 1 / (root * (real)sqrt(root));
        }
    } else if (beta == 0.5) {
        SIMD
        for (int64_t i = 0; i < n; i++) p[i] = 1 / (real)sqrt(s[i]);
    } else if (beta == 1) {
        SIMD
        for (int64_t i = 0; i < n; i++) p[i] = 1 / s[i];
    } else {
        SIMD
        for (int64_t i = 0; i < n; i++) p[i] = FN(power_of)(s[i], -beta, NAN);
    }
}

/* Positions are taken in blocks, so that all channels of a block stay near the core. */
INLINE int64_t FN(lrn_block)(int64_t channels, int64_t plane) {
    const int64_t block = MAX(64, 16384 / MAX(channels, 1) / 64 * 64);
    return MIN(block, MAX(plane, 1));
}

KERNEL(lrn_across) {
    ARGS(lrn_across);
    const int64_t block = FN(lrn_block)(a->channels, a->plane);
    const int64_t blocks = (a->plane + block - 1) / block, half = a->size / 2;
    const real share = (real)(a->alpha / (double)a->size), k = (real)a->k;
    PARALLEL_FOR(a->n * a->channels * a->plane * 4)
    for (int64_t at = 0; at < a->n * blocks; at++) {
        const int64_t first = at % blocks * block, some = MIN(block, a->plane - first);
        const int64_t start = at / blocks * a->channels * a->plane + first;
        const real *x = (const real *)a->x + start;
        real *y = (real *)a->y + start;
        const int64_t row = a->scale ? a->plane : block; /* from channel to channel of scale */
        real *scale = a->scale ? (real *)a->scale + start
                               : workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)(a->channels * block));
        for (int64_t c = 0; c < a->channels; c++) {
            const int64_t from = MAX(0, c - half), end = MIN(a->channels, c + half + 1);
            for (int64_t i = 0; i < some; i += LANES) {
                const int64_t lanes = MIN(LANES, some - i);
                VEC sum = {0};
                for (int64_t j = from; j < end; j++) {
                    const VEC value = FN(load_some)(x + j * a->plane + i, lanes);
                    sum += value * value;
                }
                FN(store_some)(scale + c * row + i, k + share * sum, lanes);
            }
        }
        real *factor = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)block);
        for (int64_t c = 0; c < a->channels; c++) {
            FN(lrn_factor)(scale + c * row, factor, some, a->beta);
            SIMD
            for (int64_t i = 0; i < some; i++)
                y[c * a->plane + i] = x[c * a->plane + i] * factor[i];
        }
    }
}

/* dx = p dy - (2 alpha beta / n) (y / p) sum over the window of dy y / s, p = s^-beta: y / p is x,
 * which an in-place layer no longer has. */
KERNEL(lrn_across_backward) {
    ARGS(lrn_across_backward);
    const lrn_across_args *l = &a->shape;
    const int64_t block = FN(lrn_block)(l->channels, l->plane);
    const int64_t blocks = (l->plane + block - 1) / block, half = l->size / 2;
    const real share = (real)(2 * l->alpha * l->beta / (double)l->size);
    PARALLEL_FOR(l->n * l->channels * l->plane * 8)
    for (int64_t at = 0; at < l->n * blocks; at++) {
        const int64_t first = at % blocks * block, some = MIN(block, l->plane - first);
        const int64_t start = at / blocks * l->channels * l->plane + first;
        const real *y = (const real *)l->y + start, *scale = (const real *)l->scale + start;
        const real *dy = (const real *)a->dy + start;
        real *dx = (real *)a->dx + start;
        real *ratio =
            workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)((l->channels + 2) * block));
        real *sum = ratio + l->channels * block, *factor = sum + block;
        for (int64_t c = 0; c < l->channels; c++)
            SIMD
            for (int64_t i = 0; i < some; i++)
                ratio[c * block + i] =
                    dy[c * l->plane + i] * y[c * l->plane + i] / scale[c * l->plane + i];
        for (int64_t c = 0; c < l->channels; c++) {
            for (int64_t i = 0; i < some; i++) sum[i] = 0;
            for (int64_t j = MAX(0, c - half); j < MIN(l->channels, c + half + 1); j++)
                SIMD
                for (int64_t i = 0; i < some; i++) sum[i] += ratio[j * block + i];
            FN(lrn_factor)(scale + c * l->plane, factor, some, l->beta);
            SIMD
            for (int64_t i = 0; i < some; i++)
                dx[c * l->plane + i] =
                    factor[i] * dy[c * l->plane + i] - share * y[c * l->plane + i] / factor[i] * sum[i];
        }
    }
}

/* sums[h, w] = sum of values over the size×size window around it, zero outside the plane; `rows`
 * is scratch of one plane. */
static void FN(box_sum)(const real *values, real *rows, real *sums, int64_t height, int64_t width,
                        int64_t half) {
    half = MIN(half, MAX(height, width)); /* beyond that all is outside */
    for (int64_t h = 0; h < height; h++) {
        real *to = rows + h * width;
        for (int64_t i = 0; i < width; i++) to[i] = 0;
        for (int64_t tap = -half; tap <= half; tap++)
            for (int64_t i = MAX(0, -tap); i < MIN(width, width - tap); i++)
                to[i] += values[h * width + i + tap];
    }
    for (int64_t h = 0; h < height; h++) {
        real *to = sums + h * width;
        for (int64_t i = 0; i < width; i++) to[i] = 0;
        for (int64_t j = MAX(0, h - half); j < MIN(height, h + half + 1); j++)
            for (int64_t i = 0; i < width; i++) to[i] += rows[j * width + i];
    }
}

KERNEL(lrn_within) {
    ARGS(lrn_within);
    const int64_t plane = a->height * a->width;
    const real share = (real)(a->alpha / (double)(a->size * a->size));
    PARALLEL_FOR(a->planes * plane * 8)
    for (int64_t at = 0; at < a->planes; at++) {
        const real *x = (const real *)a->x + at * plane;
        real *y = (real *)a->y + at * plane;
        real *rows = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)(3 * plane));
        real *values = rows + plane;
        real *scale = a->scale ? (real *)a->scale + at * plane : values + plane;
        for (int64_t i = 0; i < plane; i++) values[i] = x[i] * x[i];
        FN(box_sum)(values, rows, scale, a->height, a->width, a->size / 2);
        for (int64_t i = 0; i < plane; i++) scale[i] = 1 + share * scale[i];
        FN(lrn_factor)(scale, values, plane, a->beta);
        SIMD
        for (int64_t i = 0; i < plane; i++) y[i] = x[i] * values[i];
    }
}

KERNEL(lrn_within_backward) {
    ARGS(lrn_within_backward);
    const lrn_within_args *l = &a->shape;
    const int64_t plane = l->height * l->width;
    const real share = (real)(2 * l->alpha * l->beta / (double)(l->size * l->size));
    PARALLEL_FOR(l->planes * plane * 8)
    for (int64_t at = 0; at < l->planes; at++) {
        const real *y = (const real *)l->y + at * plane, *scale = (const real *)l->scale + at * plane;
        const real *dy = (const real *)a->dy + at * plane;
        real *dx = (real *)a->dx + at * plane;
        real *rows = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)(3 * plane));
        real *values = rows + plane, *sums = values + plane;
        for (int64_t i = 0; i < plane; i++) values[i] = dy[i] * y[i] / scale[i];
        FN(box_sum)(values, rows, sums, l->height, l->width, l->size / 2);
        FN(lrn_factor)(scale, values, plane, l->beta);
        SIMD
        for (int64_t i = 0; i < plane; i++)
            dx[i] = values[i] * dy[i] - share * y[i] / values[i] * sums[i];
    }
}
