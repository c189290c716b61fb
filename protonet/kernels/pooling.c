/* Pooling over N×C planes of H×W. Windows are laid as Caffe lays them: output o covers inputs
 * o S - P ... o S - P + F, clipped to the image. Planes are shared among the team. */

typedef struct { int64_t from, to; } FN(range);

/* The inputs that output `at` sees along an axis, clipped to the image. */
INLINE FN(range) FN(window)(int64_t at, int64_t stride, int64_t pad, int64_t kernel, int64_t size) {
    const int64_t start = at * stride - pad;
    FN(range) r = {MAX(start, 0), MIN(start + kernel, size)};
    return r;
}

/* What outputs gather. */
#define POOL_MAX 0
#define POOL_INDEX 1
#define POOL_SUM 2

#define POOL_PASTE_(name, lanes) name##_##lanes
#define POOL_PASTE(name, lanes) POOL_PASTE_(name, lanes)
#define POOL_OF(name, lanes) FN(POOL_PASTE(name, lanes))
#undef POOL_NARROW
#if REAL_IS_FLOAT
#define POOL_NARROW 4
#else
#define POOL_NARROW 2
#endif

#if VECTOR_LANES > 1
#define POOL_LANES VECTOR_LANES
#include "pool_block.h"
#endif
#if VECTOR_LANES > POOL_NARROW
#define POOL_LANES POOL_NARROW
#include "pool_block.h"
#endif

/* The outputs of a row whose windows, read with `spare` elements more, lie inside the image. */
INLINE FN(range) FN(whole_windows)(const pooling_args *p, int64_t spare) {
    const int64_t stride = p->stride_width, last = p->width + p->pad_width - p->kernel_width - spare;
    const int64_t from = MIN(p->out_width, (p->pad_width + stride - 1) / stride);
    FN(range) r = {from, last < 0 ? from : MAX(from, MIN(p->out_width, last / stride + 1))};
    return r;
}

/* The greatest of a long run and the least index of it, if greater than *best. */
static void FN(max_run)(const real *x, int64_t count, int64_t at, real *best, int32_t *index) {
    VEC most = (VEC){0} + *best;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) { /* NaN is not greater */
        const VEC value = *(const VEC *)(x + i);
        const FN(lanes) greater = (FN(lanes))(value > most);
        most = (VEC)((greater & (FN(lanes))value) | (~greater & (FN(lanes))most));
    }
    real greatest = most[0];
    for (int64_t lane = 1; lane < LANES; lane++)
        greatest = greatest >= most[lane] ? greatest : most[lane];
    for (; i < count; i++) greatest = x[i] > greatest ? x[i] : greatest;
    if (!(greatest > *best)) return;
    for (i = 0; x[i] != greatest; i++) {}
    *best = greatest;
    *index = (int32_t)(at + i);
}

static void FN(max_window)(const pooling_args *p, const real *x, FN(range) h, int64_t i, real *y,
                           int32_t *mask) {
    const FN(range) w = FN(window)(i, p->stride_width, p->pad_width, p->kernel_width, p->width);
    real best = -FLT_MAX;
    int32_t index = -1;
    if (w.to - w.from == p->width && (h.to - h.from) * p->width >= 4 * LANES)
        FN(max_run)(x + h.from * p->width, (h.to - h.from) * p->width, h.from * p->width, &best,
                    &index);
    else if (w.to - w.from >= 4 * LANES)
        for (int64_t at = h.from; at < h.to; at++)
            FN(max_run)(x + at * p->width + w.from, w.to - w.from, at * p->width + w.from, &best,
                        &index);
    else
        for (int64_t at = h.from; at < h.to; at++)
            for (int64_t place = at * p->width + w.from; place < at * p->width + w.to; place++) {
                const real value = x[place];
                index = value > best ? (int32_t)place : index;
                best = value > best ? value : best;
            }
    y[i] = best;
    if (mask) mask[i] = index;
}

static real FN(sum_run)(const real *x, int64_t count) {
    VEC sums[4] = {{0}, {0}, {0}, {0}};
    real total = 0;
    int64_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES)
        for (int64_t u = 0; u < 4; u++) sums[u] += *(const VEC *)(x + i + u * LANES);
    for (; i + LANES <= count; i += LANES) sums[0] += *(const VEC *)(x + i);
    sums[0] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    if (i)
        for (int64_t lane = 0; lane < LANES; lane++) total += sums[0][lane];
    for (; i < count; i++) total += x[i];
    return total;
}

static void FN(sum_window)(const pooling_args *p, const real *x, FN(range) h, int64_t i, real *y) {
    const FN(range) w = FN(window)(i, p->stride_width, p->pad_width, p->kernel_width, p->width);
    real total = 0;
    if (w.to - w.from == p->width && h.from < h.to)
        total = FN(sum_run)(x + h.from * p->width, (h.to - h.from) * p->width);
    else if (w.to - w.from >= 4 * LANES)
        for (int64_t at = h.from; at < h.to; at++)
            total += FN(sum_run)(x + at * p->width + w.from, w.to - w.from);
    else
        for (int64_t at = h.from; at < h.to; at++)
            for (int64_t place = at * p->width + w.from; place < at * p->width + w.to; place++)
                total += x[place];
    y[i] = total;
}

/* The outputs `inside` as blocks, of either width; false if they are too few for that. */
INLINE int FN(pool_blocks)(const pooling_args *p, const real *x, FN(range) h, FN(range) inside,
                           int stride, int what, real *y, int32_t *mask) {
#if VECTOR_LANES > 1
    if (POOL_OF(pool_run, VECTOR_LANES)(p, x, h, inside, stride, what, y, mask)) return 1;
#endif
#if VECTOR_LANES > POOL_NARROW
    if (POOL_OF(pool_run, POOL_NARROW)(p, x, h, inside, stride, what, y, mask)) return 1;
#endif
    return 0;
}

/* A row of outputs: blocks where windows lie inside the image, the others one by one. Taps go in
 * reading order and only a greater value replaces: the first of equal maxima wins. `end` says that
 * nothing may be read behind the plane. */
INLINE void FN(pool_row)(const pooling_args *p, const real *x, int64_t row, int end, int what,
                         real *y, int32_t *mask) {
    const FN(range) h = FN(window)(row, p->stride_height, p->pad_height, p->kernel_height, p->height);
    FN(range) inside = FN(whole_windows)(p, end && h.to == p->height && p->stride_width == 2);
    /* What a block makes of the windows behind the last whole one is made anew below; it reads no
     * further than the next plane's first row. */
    FN(range) blocks = inside;
    if (!end && p->pad_width + p->kernel_width < p->width && inside.from < inside.to &&
        inside.from + LANES <= p->out_width)
        blocks.to = MAX(blocks.to, inside.from + LANES);
    int done = 0;
    if (p->stride_width == 1) done = FN(pool_blocks)(p, x, h, blocks, 1, what, y, mask);
    if (p->stride_width == 2) done = FN(pool_blocks)(p, x, h, blocks, 2, what, y, mask);
    if (!done) inside.from = inside.to = 0;
    for (int64_t i = 0; i < p->out_width; i++) {
        if (i == inside.from) i = inside.to;
        if (i >= p->out_width) break;
        if (what == POOL_SUM)
            FN(sum_window)(p, x, h, i, y);
        else
            FN(max_window)(p, x, h, i, y, mask);
    }
}

KERNEL(max_pool) {
    ARGS(max_pool);
    const pooling_args *p = &a->shape;
    const int64_t plane = p->height * p->width, out = p->out_height * p->out_width;
    real *argmax = a->argmax;
    FN(window_pool) *small = a->mask ? NULL : FN(small_windows)(p);
    PARALLEL_FOR(p->planes * plane)
    for (int64_t at = 0; at < p->planes; at++) {
        const real *x = (const real *)p->x + at * plane;
        real *y = (real *)p->y + at * out;
        int32_t *mask = a->mask ? (int32_t *)a->mask + at * out : NULL;
        if (small) {
            small(p, NULL, x, y);
            continue;
        }
        for (int64_t row = 0; row < p->out_height; row++) {
            real *to = y + row * p->out_width;
            if (mask)
                FN(pool_row)(p, x, row, at == p->planes - 1, POOL_INDEX, to,
                             mask + row * p->out_width);
            else
                FN(pool_row)(p, x, row, at == p->planes - 1, POOL_MAX, to, NULL);
        }
        if (argmax)
            for (int64_t i = 0; i < out; i++) argmax[at * out + i] = (real)mask[i];
    }
}

KERNEL(pool_scatter) {
    ARGS(pool_scatter);
    const real *dy = a->dy;
    const int32_t *mask = a->mask;
    real *dx = a->dx;
    PARALLEL_FOR(a->planes * a->size)
    for (int64_t at = 0; at < a->planes; at++) {
        real *to = dx + at * a->size;
        memset(to, 0, sizeof(real) * (size_t)a->size);
        for (int64_t i = at * a->out; i < (at + 1) * a->out; i++)
            if (mask[i] >= 0) to[mask[i]] += dy[i];
    }
}

KERNEL(average_pool) {
    ARGS(average_pool);
    const int64_t plane = a->height * a->width, out = a->out_height * a->out_width;
    real *widths = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)a->out_width);
    for (int64_t i = 0; i < a->out_width; i++)
        widths[i] =
            (real)FN(divisor)(i, a->stride_width, a->pad_width, a->kernel_width, a->width);
    FN(window_pool) *small = FN(small_windows)(a);
    PARALLEL_FOR(a->planes * plane)
    for (int64_t at = 0; at < a->planes; at++) {
        const real *x = (const real *)a->x + at * plane;
        if (small) {
            small(a, widths, x, (real *)a->y + at * out);
            continue;
        }
        for (int64_t row = 0; row < a->out_height; row++) {
            real *y = (real *)a->y + at * out + row * a->out_width;
            const real rows =
                (real)FN(divisor)(row, a->stride_height, a->pad_height, a->kernel_height, a->height);
            FN(pool_row)(a, x, row, at == a->planes - 1, POOL_SUM, y, NULL);
            for (int64_t i = 0; i < a->out_width; i++) y[i] /= rows * widths[i];
        }
    }
}

/* What a row of outputs gives back to each row of inputs that it covers. */
static void FN(average_back_row)(const pooling_args *p, const real *dy, const real *widths,
                                 real rows, real *restrict share) {
    for (int64_t i = 0; i < p->width; i++) share[i] = 0;
    for (int64_t i = 0; i < p->out_width; i++) {
        const FN(range) w =
            FN(window)(i, p->stride_width, p->pad_width, p->kernel_width, p->width);
        const real each = dy[i] / (rows * widths[i]);
        for (int64_t j = w.from; j < w.to; j++) share[j] += each;
    }
}

KERNEL(average_pool_backward) {
    ARGS(average_pool_backward);
    const pooling_args *p = &a->shape;
    const int64_t plane = p->height * p->width, out = p->out_height * p->out_width;
    real *widths = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)p->out_width);
    for (int64_t i = 0; i < p->out_width; i++)
        widths[i] =
            (real)FN(divisor)(i, p->stride_width, p->pad_width, p->kernel_width, p->width);
    PARALLEL_FOR(p->planes * plane)
    for (int64_t at = 0; at < p->planes; at++) {
        const real *dy = (const real *)a->dy + at * out;
        real *dx = (real *)a->dx + at * plane;
        real *share = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)p->width);
        memset(dx, 0, sizeof(real) * (size_t)plane);
        for (int64_t row = 0; row < p->out_height; row++) {
            const FN(range) h =
                FN(window)(row, p->stride_height, p->pad_height, p->kernel_height, p->height);
            const real rows =
                (real)FN(divisor)(row, p->stride_height, p->pad_height, p->kernel_height, p->height);
            FN(average_back_row)(p, dy + row * p->out_width, widths, rows, share);
            for (int64_t y = h.from; y < h.to; y++)
                for (int64_t i = 0; i < p->width; i++) dx[y * p->width + i] += share[i];
        }
    }
}

/* Stochastic pooling (Zeiler and Fergus, 2013), of values x+ = max(x, 0): one element of the window
 * is drawn with probability x+ / sum x+; where all are 0 the output is 0 and has no place. */
KERNEL(stochastic_pool) {
    ARGS(stochastic_pool);
    const pooling_args *p = &a->shape;
    const int64_t plane = p->height * p->width, out = p->out_height * p->out_width;
    const int64_t count = p->planes * out;
    uint64_t *state = a->state;
    int32_t *mask = a->mask;
    PARALLEL_FOR(count * p->kernel_height * p->kernel_width)
    for (int64_t start = 0; start < count; start += PHILOX_WORDS) {
        uint32_t words[PHILOX_WORDS];
        FN(philox)(state[RANDOM_KEY], state[RANDOM_PASS], (uint64_t)(start / PHILOX_WORDS), words);
        for (int64_t i = start; i < MIN(count, start + PHILOX_WORDS); i++) {
            const real *x = (const real *)p->x + i / out * plane;
            const FN(range) h = FN(window)(i % out / p->out_width, p->stride_height, 0,
                                           p->kernel_height, p->height);
            const FN(range) w =
                FN(window)(i % p->out_width, p->stride_width, 0, p->kernel_width, p->width);
            double total = 0;
            for (int64_t y = h.from; y < h.to; y++)
                for (int64_t at = w.from; at < w.to; at++) total += MAX(x[y * p->width + at], 0);
            double left = (words[i - start] + 0.5) / 4294967296.0 * total;
            int64_t chosen = -1;
            for (int64_t y = h.from; y < h.to && left >= 0; y++)
                for (int64_t at = w.from; at < w.to && left >= 0; at++) {
                    const real value = x[y * p->width + at];
                    if (value <= 0) continue;
                    chosen = y * p->width + at;
                    left -= value;
                }
            mask[i] = (int32_t)chosen;
            ((real *)p->y)[i] = chosen >= 0 ? x[chosen] : 0;
        }
    }
    state[RANDOM_PASS]++;
}

/* y = sum x+² / sum x+ over the window, 0 where the sum is 0. */
KERNEL(stochastic_mean) {
    ARGS(stochastic_mean);
    const int64_t plane = a->height * a->width, out = a->out_height * a->out_width;
    PARALLEL_FOR(a->planes * out * a->kernel_height * a->kernel_width)
    for (int64_t i = 0; i < a->planes * out; i++) {
        const real *x = (const real *)a->x + i / out * plane;
        const FN(range) h =
            FN(window)(i % out / a->out_width, a->stride_height, 0, a->kernel_height, a->height);
        const FN(range) w =
            FN(window)(i % a->out_width, a->stride_width, 0, a->kernel_width, a->width);
        double total = 0, squares = 0;
        for (int64_t y = h.from; y < h.to; y++)
            for (int64_t at = w.from; at < w.to; at++) {
                const double value = MAX(x[y * a->width + at], 0);
                total += value;
                squares += value * value;
            }
        ((real *)a->y)[i] = total > 0 ? (real)(squares / total) : 0;
    }
}

/* dx = sum over windows of dy (2 x+ - y) / sum x+. */
KERNEL(stochastic_mean_backward) {
    ARGS(stochastic_mean_backward);
    const pooling_args *p = &a->shape;
    const int64_t plane = p->height * p->width, out = p->out_height * p->out_width;
    PARALLEL_FOR(p->planes * out * p->kernel_height * p->kernel_width)
    for (int64_t image = 0; image < p->planes; image++) {
        const real *x = (const real *)p->x + image * plane;
        real *dx = (real *)a->dx + image * plane;
        memset(dx, 0, sizeof(real) * (size_t)plane);
        for (int64_t i = 0; i < out; i++) {
            const FN(range) h =
                FN(window)(i / p->out_width, p->stride_height, 0, p->kernel_height, p->height);
            const FN(range) w =
                FN(window)(i % p->out_width, p->stride_width, 0, p->kernel_width, p->width);
            double total = 0;
            for (int64_t y = h.from; y < h.to; y++)
                for (int64_t at = w.from; at < w.to; at++) total += MAX(x[y * p->width + at], 0);
            if (!(total > 0)) continue;
            const double each = ((const real *)a->dy)[image * out + i] / total;
            const double mean = ((const real *)p->y)[image * out + i];
            for (int64_t y = h.from; y < h.to; y++)
                for (int64_t at = w.from; at < w.to; at++) {
                    const double value = x[y * p->width + at];
                    if (value > 0) dx[y * p->width + at] += (real)(each * (2 * value - mean));
                }
        }
    }
}
