/* Activations: one pass over memory; x and y, dy and dx may be the same buffer. */

KERNEL(sigmoid) {
    ARGS(sigmoid);
    const real *x = a->x;
    real *y = a->y;
    FOR_EACH(i, a->n, 4) y[i] = FN(sigmoid_of)(x[i]);
}

KERNEL(sigmoid_backward) {
    ARGS(sigmoid_backward);
    const real *y = a->y, *dy = a->dy;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) dx[i] = dy[i] * y[i] * (1 - y[i]);
}

KERNEL(tanh) {
    ARGS(tanh);
    const real *x = a->x;
    real *y = a->y;
    FOR_EACH(i, a->n, 4) y[i] = FN(tanh_of)(x[i]);
}

KERNEL(tanh_backward) {
    ARGS(tanh_backward);
    const real *y = a->y, *dy = a->dy;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) dx[i] = dy[i] * (1 - y[i] * y[i]);
}

KERNEL(absolute) {
    ARGS(absolute);
    const real *x = a->x;
    real *y = a->y;
    FOR_EACH(i, a->n, 1) y[i] = x[i] < 0 ? -x[i] : x[i];
}

KERNEL(absolute_backward) {
    ARGS(absolute_backward);
    const real *x = a->x, *dy = a->dy;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) dx[i] = x[i] > 0 ? dy[i] : (x[i] < 0 ? -dy[i] : 0);
}

KERNEL(bnll) {
    ARGS(bnll);
    const real *x = a->x;
    real *y = a->y;
    FOR_EACH(i, a->n, 8) {
        const real size = x[i] < 0 ? -x[i] : x[i];
        y[i] = (x[i] > 0 ? x[i] : 0) + FN(log1p_of)(FN(exp_of)(-size));
    }
}

KERNEL(bnll_backward) {
    ARGS(bnll_backward);
    const real *x = a->x, *dy = a->dy;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 4) dx[i] = dy[i] * FN(sigmoid_of)(x[i]);
}

KERNEL(elu) {
    ARGS(elu);
    const real *x = a->x, alpha = (real)a->alpha;
    real *y = a->y;
    FOR_EACH(i, a->n, 4) y[i] = x[i] > 0 ? x[i] : alpha * (FN(exp_of)(x[i]) - 1);
}

KERNEL(elu_backward) {
    ARGS(elu_backward);
    const real *x = a->x, *y = a->y, *dy = a->dy, alpha = (real)a->alpha;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) dx[i] = x[i] > 0 ? dy[i] : dy[i] * (alpha + y[i]);
}

KERNEL(swish) {
    ARGS(swish);
    const real *x = a->x, beta = (real)a->beta;
    real *y = a->y;
    FOR_EACH(i, a->n, 4) y[i] = x[i] * FN(sigmoid_of)(beta * x[i]);
}

KERNEL(swish_backward) {
    ARGS(swish_backward);
    const real *x = a->x, *dy = a->dy, beta = (real)a->beta;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 4) {
        const real gate = FN(sigmoid_of)(beta * x[i]);
        dx[i] = dy[i] * gate * (1 + beta * x[i] * (1 - gate));
    }
}

KERNEL(clip) {
    ARGS(clip);
    const real *x = a->x, low = (real)a->low, high = (real)a->high;
    real *y = a->y;
    FOR_EACH(i, a->n, 1) {
        const real above = x[i] < low ? low : x[i];
        y[i] = above > high ? high : above;
    }
}

KERNEL(clip_backward) {
    ARGS(clip_backward);
    const real *x = a->x, *dy = a->dy, low = (real)a->low, high = (real)a->high;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) dx[i] = x[i] >= low && x[i] <= high ? dy[i] : 0;
}

KERNEL(threshold) {
    ARGS(threshold);
    const real *x = a->x, limit = (real)a->limit;
    real *y = a->y;
    FOR_EACH(i, a->n, 1) y[i] = x[i] > limit ? 1 : 0;
}

KERNEL(exponential) {
    ARGS(exponential);
    const real *x = a->x, factor = (real)a->factor, inner = (real)a->inner;
    real *y = a->y;
    FOR_EACH(i, a->n, 4) y[i] = factor * FN(exp_of)(inner * x[i]);
}

KERNEL(exponential_backward) {
    ARGS(exponential_backward);
    const real *y = a->y, *dy = a->dy, inner = (real)a->inner;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) dx[i] = dy[i] * y[i] * inner;
}

KERNEL(logarithm) {
    ARGS(logarithm);
    const real *x = a->x, factor = (real)a->factor, scale = (real)a->scale, shift = (real)a->shift;
    real *y = a->y;
    FOR_EACH(i, a->n, 4) y[i] = factor * FN(log_of)(scale * x[i] + shift);
}

KERNEL(logarithm_backward) {
    ARGS(logarithm_backward);
    const real *x = a->x, *dy = a->dy;
    const real factor = (real)(a->factor * a->scale), scale = (real)a->scale, shift = (real)a->shift;
    real *dx = a->dx;
    FOR_EACH(i, a->n, 1) dx[i] = dy[i] * factor / (scale * x[i] + shift);
}

/* factor (scale x + shift)^p for the powers that need no logarithm, and for any other. */
#define POWERS(i, value)                                                                         \
    if (p == 0) {                                                                                \
        FOR_EACH(i, n, 1) { const real v = scale * x[i] + shift; (void)v; value(1); }            \
    } else if (p == 1) {                                                                         \
        FOR_EACH(i, n, 1) { const real v = scale * x[i] + shift; value(v); }                     \
    } else if (p == 2) {                                                                         \
        FOR_EACH(i, n, 1) { const real v = scale * x[i] + shift; value(v * v); }                 \
    } else if (p == 3) {                                                                         \
        FOR_EACH(i, n, 1) { const real v = scale * x[i] + shift; value(v * v * v); }             \
    } else if (p == -1) {                                                                        \
        FOR_EACH(i, n, 1) { const real v = scale * x[i] + shift; value(1 / v); }                 \
    } else if (p == 0.5) {                                                                       \
        FOR_EACH(i, n, 1) { const real v = scale * x[i] + shift; value((real)sqrt(v)); }         \
    } else if (p == -0.5) {                                                                      \
        FOR_EACH(i, n, 1) { const real v = scale * x[i] + shift; value(1 / (real)sqrt(v)); }     \
    } else {                                                                                     \
        FOR_EACH(i, n, 16) {                                                                     \
            const real v = scale * x[i] + shift;                                                 \
            value(FN(power_of)(v, p, sign));                                                   \
        }                                                                                        \
    }

KERNEL(power) {
    ARGS(power);
    const real *x = a->x, scale = (real)a->scale, shift = (real)a->shift;
    const double p = a->power;
    const double sign = FN(power_sign)(p);
    const int64_t n = a->n;
    real *y = a->y;
#define STORE(v) y[i] = (v)
    POWERS(i, STORE)
#undef STORE
}

KERNEL(power_backward) {
    ARGS(power_backward);
    const real *x = a->x, *dy = a->dy, scale = (real)a->scale, shift = (real)a->shift;
    const double p = a->power - 1;
    const double sign = FN(power_sign)(p);
    const int64_t n = a->n;
    const real factor = (real)(a->power * a->scale);
    real *dx = a->dx;
#define STORE(v) dx[i] = dy[i] * factor * (v)
    POWERS(i, STORE)
#undef STORE
}

/* Where a slope holds for a run of elements: rows of `inner`, in pieces. */
INLINE int64_t FN(prelu_pieces)(int64_t inner) { return (inner + EACH_BLOCK - 1) / EACH_BLOCK; }

KERNEL(prelu) {
    ARGS(prelu);
    const real *x = a->x, *slope = a->slope;
    real *y = a->y;
    if (a->inner == 1 && a->channels > 1) { /* a slope for each column */
        PARALLEL_FOR(a->outer * a->channels)
        for (int64_t row = 0; row < a->outer; row++) {
            const int64_t start = row * a->channels;
            SIMD
            for (int64_t c = 0; c < a->channels; c++)
                y[start + c] = x[start + c] > 0 ? x[start + c] : slope[c] * x[start + c];
        }
        return;
    }
    const int64_t pieces = FN(prelu_pieces)(a->inner);
    PARALLEL_FOR(a->outer * a->channels * a->inner)
    for (int64_t at = 0; at < a->outer * a->channels * pieces; at++) {
        const int64_t row = at / pieces, start = row * a->inner + at % pieces * EACH_BLOCK;
        const int64_t end = MIN(start + EACH_BLOCK, (row + 1) * a->inner);
        const real s = slope[row % a->channels];
        SIMD
        for (int64_t i = start; i < end; i++) y[i] = x[i] > 0 ? x[i] : s * x[i];
    }
}

KERNEL(prelu_backward) {
    ARGS(prelu_backward);
    const real *x = a->x, *dy = a->dy, *slope = a->slope;
    real *dx = a->dx;
    if (a->inner == 1 && a->channels > 1) {
        PARALLEL_FOR(a->outer * a->channels)
        for (int64_t row = 0; row < a->outer; row++) {
            const int64_t start = row * a->channels;
            SIMD
            for (int64_t c = 0; c < a->channels; c++)
                dx[start + c] = x[start + c] > 0 ? dy[start + c] : slope[c] * dy[start + c];
        }
        return;
    }
    const int64_t pieces = FN(prelu_pieces)(a->inner);
    PARALLEL_FOR(a->outer * a->channels * a->inner)
    for (int64_t at = 0; at < a->outer * a->channels * pieces; at++) {
        const int64_t row = at / pieces, start = row * a->inner + at % pieces * EACH_BLOCK;
        const int64_t end = MIN(start + EACH_BLOCK, (row + 1) * a->inner);
        const real s = slope[row % a->channels];
        SIMD
        for (int64_t i = start; i < end; i++) dx[i] = x[i] > 0 ? dy[i] : s * dy[i];
    }
}

/* A block of columns, or of one channel's rows, goes to one thread, which adds in order. */
KERNEL(prelu_gradient) {
    ARGS(prelu_gradient);
    const real *x = a->x, *dy = a->dy;
    real *dslope = a->dslope;
    const int64_t block = a->inner == 1 ? 64 : 1, blocks = (a->channels + block - 1) / block;
    PARALLEL_FOR(a->outer * a->channels * a->inner)
    for (int64_t at = 0; at < blocks; at++) {
        const int64_t first = at * block, some = MIN(block, a->channels - first);
        if (a->inner == 1) {
            real sums[64] = {0};
            for (int64_t row = 0; row < a->outer; row++) {
                const int64_t start = row * a->channels + first;
                for (int64_t c = 0; c < some; c++)
                    sums[c] += x[start + c] > 0 ? 0 : dy[start + c] * x[start + c];
            }
            for (int64_t c = 0; c < some; c++) dslope[first + c] += sums[c];
            continue;
        }
        double total = 0;
        for (int64_t row = 0; row < a->outer; row++) {
            const int64_t start = (row * a->channels + first) * a->inner;
            real sum = 0;
            PRAGMA(omp simd reduction(+ : sum))
            for (int64_t i = start; i < start + a->inner; i++) sum += x[i] > 0 ? 0 : dy[i] * x[i];
            total += (double)sum;
        }
        dslope[first] += (real)total;
    }
}
