/* Pooling over N×C planes of H×W. Windows are laid as Caffe lays them: output o covers inputs
 * o S - P ... o S - P + F, clipped to the image. Planes are shared among the team. */

typedef struct { int64_t from, to; } FN(range);

/* The inputs that output `at` sees along an axis, clipped to the image. */
INLINE FN(range) FN(window)(int64_t at, int64_t stride, int64_t pad, int64_t kernel, int64_t size) {
    const int64_t start = at * stride - pad;
    FN(range) r = {MAX(start, 0), MIN(start + kernel, size)};
    return r;
}

/* The outputs whose tap `tap` lies inside the image. */
INLINE FN(range) FN(outputs)(int64_t tap, int64_t stride, int64_t pad, int64_t size, int64_t out) {
    const int64_t before = MAX(0, pad - tap), until = MAX(0, size + pad - tap);
    FN(range) r = {MIN(out, (before + stride - 1) / stride), MIN(out, (until + stride - 1) / stride)};
    return r;
}

/* Taps are walked one by one over a whole row of outputs, which is vector code; where rows are
 * short or windows wide, each window is walked by itself. */
INLINE int FN(by_window)(const pooling_args *p) {
    return p->out_width < 8 || p->kernel_width >= 32;
}

INLINE void FN(max_tap)(const real *x, int64_t at, int64_t step, FN(range) r, real *y,
                        int32_t *mask) {
    if (mask)
        for (int64_t i = r.from; i < r.to; i++) {
            const real value = x[i * step];
            const int more = value > y[i];
            mask[i] = more ? (int32_t)(at + i * step) : mask[i];
            y[i] = more ? value : y[i];
        }
    else
        for (int64_t i = r.from; i < r.to; i++) y[i] = x[i * step] > y[i] ? x[i * step] : y[i];
}

/* A row of outputs. Taps go in reading order and only a greater value replaces: the first of
 * equal maxima wins. */
static void FN(max_row)(const pooling_args *p, const real *x, int64_t row, real *restrict y,
                        int32_t *restrict mask) {
    const FN(range) h = FN(window)(row, p->stride_height, p->pad_height, p->kernel_height, p->height);
    for (int64_t i = 0; i < p->out_width; i++) y[i] = -REAL_MAX;
    if (mask)
        for (int64_t i = 0; i < p->out_width; i++) mask[i] = -1;
    for (int64_t at = h.from; at < h.to; at++)
        for (int64_t tap = 0; tap < p->kernel_width; tap++) {
            const FN(range) r =
                FN(outputs)(tap, p->stride_width, p->pad_width, p->width, p->out_width);
            const int64_t first = at * p->width + tap - p->pad_width;
            if (p->stride_width == 1)
                FN(max_tap)(x + first, first, 1, r, y, mask);
            else if (p->stride_width == 2)
                FN(max_tap)(x + first, first, 2, r, y, mask);
            else
                FN(max_tap)(x + first, first, p->stride_width, r, y, mask);
        }
}

/* The greatest of a run and the least index of it, if greater than *best. */
static void FN(max_run)(const real *x, int64_t count, int64_t at, real *best, int32_t *index) {
    int64_t i = 0;
    if (count >= 4 * LANES) {
        real most[LANES];
        memcpy(most, x, sizeof most);
        for (i = LANES; i + LANES <= count; i += LANES)
            for (int64_t lane = 0; lane < LANES; lane++) /* NaN gives way to anything */
                most[lane] = most[lane] >= x[i + lane] ? most[lane] : x[i + lane];
        real greatest = most[0];
        for (int64_t lane = 1; lane < LANES; lane++)
            greatest = greatest >= most[lane] ? greatest : most[lane];
        if (greatest > *best) {
            int64_t j = 0;
            while (x[j] != greatest) j++;
            *best = greatest;
            *index = (int32_t)(at + j);
        }
    }
    for (; i < count; i++)
        if (x[i] > *best) {
            *best = x[i];
            *index = (int32_t)(at + i);
        }
}

static void FN(max_windows)(const pooling_args *p, const real *x, int64_t row, real *y,
                            int32_t *mask) {
    const FN(range) h = FN(window)(row, p->stride_height, p->pad_height, p->kernel_height, p->height);
    for (int64_t i = 0; i < p->out_width; i++) {
        const FN(range) w =
            FN(window)(i, p->stride_width, p->pad_width, p->kernel_width, p->width);
        real best = -REAL_MAX;
        int32_t index = -1;
        if (w.from == 0 && w.to == p->width && h.from < h.to)
            FN(max_run)(x + h.from * p->width, (h.to - h.from) * p->width, h.from * p->width, &best,
                        &index);
        else
            for (int64_t at = h.from; at < h.to; at++)
                FN(max_run)(x + at * p->width + w.from, w.to - w.from, at * p->width + w.from, &best,
                            &index);
        y[i] = best;
        if (mask) mask[i] = index;
    }
}

KERNEL(max_pool) {
    ARGS(max_pool);
    const pooling_args *p = &a->shape;
    const int64_t plane = p->height * p->width, out = p->out_height * p->out_width;
    real *argmax = a->argmax;
    PARALLEL_FOR(p->planes * plane)
    for (int64_t at = 0; at < p->planes; at++) {
        const real *x = (const real *)p->x + at * plane;
        real *y = (real *)p->y + at * out;
        int32_t *mask = a->mask ? (int32_t *)a->mask + at * out : NULL;
        for (int64_t row = 0; row < p->out_height; row++) {
            int32_t *mask_row = mask ? mask + row * p->out_width : NULL;
            if (FN(by_window)(p))
                FN(max_windows)(p, x, row, y + row * p->out_width, mask_row);
            else
                FN(max_row)(p, x, row, y + row * p->out_width, mask_row);
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

/* How many inputs or padding an average divides by along an axis: F clipped to H + P. */
INLINE int64_t FN(divisor)(int64_t at, int64_t stride, int64_t pad, int64_t kernel, int64_t size) {
    return MIN(at * stride - pad + kernel, size + pad) - (at * stride - pad);
}

static real FN(sum_run)(const real *x, int64_t count) {
    VEC sums = {0};
    real total = 0;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) sums += *(const VEC *)(x + i);
    if (i)
        for (int64_t lane = 0; lane < LANES; lane++) total += sums[lane];
    for (; i < count; i++) total += x[i];
    return total;
}

INLINE void FN(sum_tap)(const real *x, int64_t step, FN(range) r, real *y) {
    for (int64_t i = r.from; i < r.to; i++) y[i] += x[i * step];
}

static void FN(average_row)(const pooling_args *p, const real *x, FN(range) h, real *restrict y) {
    for (int64_t i = 0; i < p->out_width; i++) y[i] = 0;
    for (int64_t at = h.from; at < h.to; at++)
        for (int64_t tap = 0; tap < p->kernel_width; tap++) {
            const FN(range) r =
                FN(outputs)(tap, p->stride_width, p->pad_width, p->width, p->out_width);
            const real *from = x + at * p->width + tap - p->pad_width;
            if (p->stride_width == 1)
                FN(sum_tap)(from, 1, r, y);
            else if (p->stride_width == 2)
                FN(sum_tap)(from, 2, r, y);
            else
                FN(sum_tap)(from, p->stride_width, r, y);
        }
}

static void FN(average_windows)(const pooling_args *p, const real *x, FN(range) h, real *y) {
    for (int64_t i = 0; i < p->out_width; i++) {
        const FN(range) w =
            FN(window)(i, p->stride_width, p->pad_width, p->kernel_width, p->width);
        real total = 0;
        if (w.from == 0 && w.to == p->width && h.from < h.to)
            total = FN(sum_run)(x + h.from * p->width, (h.to - h.from) * p->width);
        else
            for (int64_t at = h.from; at < h.to; at++)
                total += FN(sum_run)(x + at * p->width + w.from, w.to - w.from);
        y[i] = total;
    }
}

KERNEL(average_pool) {
    ARGS(average_pool);
    const int64_t plane = a->height * a->width, out = a->out_height * a->out_width;
    real *widths = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)a->out_width);
    for (int64_t i = 0; i < a->out_width; i++)
        widths[i] =
            (real)FN(divisor)(i, a->stride_width, a->pad_width, a->kernel_width, a->width);
    PARALLEL_FOR(a->planes * plane)
    for (int64_t at = 0; at < a->planes; at++)
        for (int64_t row = 0; row < a->out_height; row++) {
            const real *x = (const real *)a->x + at * plane;
            real *y = (real *)a->y + at * out + row * a->out_width;
            const FN(range) h =
                FN(window)(row, a->stride_height, a->pad_height, a->kernel_height, a->height);
            const real rows =
                (real)FN(divisor)(row, a->stride_height, a->pad_height, a->kernel_height, a->height);
            if (FN(by_window)(a))
                FN(average_windows)(a, x, h, y);
            else
                FN(average_row)(a, x, h, y);
            for (int64_t i = 0; i < a->out_width; i++) y[i] /= rows * widths[i];
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
