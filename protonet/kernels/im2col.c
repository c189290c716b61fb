/* im2col and its transpose over any number of spatial axes: row `tap` of channel c holds, for
 * every output position, the input element that this tap of the filter meets there (zero in
 * the padding). The last axis is walked as a run, the others as an odometer. */

static int64_t FN(product_of)(const int64_t *values, int64_t count) {
    int64_t product = 1;
    for (int64_t i = 0; i < count; i++) product *= values[i];
    return product;
}

/* A filter of up to this many taps has their walks worked out once per pass. */
#define MOST_WALKS 128

/* Where a tap meets the input: per axis, input = output * stride + offset. */
typedef struct {
    int64_t rows;                /* runs of the last axis */
    int64_t run;                 /* outputs in a run */
    int64_t from, to;            /* outputs of a run that fall inside the input */
    int64_t step, first;         /* along the last axis: input = output * step + first */
    int64_t offset[8];
} FN(tap_walk);

static FN(tap_walk) FN(tap_walk_of)(const convolution_args *s, int64_t tap) {
    FN(tap_walk) walk = {1, 1, 0, 1, 1, 0, {0}};
    if (s->axes == 0) return walk;
    for (int64_t axis = s->axes - 1; axis >= 0; axis--) {
        walk.offset[axis] = tap % s->kernel[axis] * s->dilation[axis] - s->pad[axis];
        tap /= s->kernel[axis];
    }
    int64_t last = s->axes - 1;
    walk.rows = FN(product_of)(s->out, last);
    walk.run = s->out[last];
    walk.step = s->stride[last];
    walk.first = walk.offset[last];
    int64_t before = MAX(0, -walk.first), until = MAX(0, s->size[last] - walk.first);
    walk.from = MIN(walk.run, (before + walk.step - 1) / walk.step);
    walk.to = MAX(walk.from, MIN(walk.run, (until + walk.step - 1) / walk.step));
    return walk;
}

/* Where run `row` of the walk starts in the plane, or -1 if it lies in the padding. */
static inline int64_t FN(run_start)(const convolution_args *s, const FN(tap_walk) *walk,
                                    int64_t row) {
    if (s->axes == 2) { /* the common case, without divisions */
        const int64_t y = row * s->stride[0] + walk->offset[0];
        return y < 0 || y >= s->size[0] ? -1 : y * s->size[1];
    }
    if (s->axes == 0) return 0;
    int64_t start = 0, scale = s->size[s->axes - 1];
    for (int64_t axis = s->axes - 2; axis >= 0; axis--) {
        int64_t at = row % s->out[axis] * s->stride[axis] + walk->offset[axis];
        if (at < 0 || at >= s->size[axis]) return -1;
        start += at * scale;
        scale *= s->size[axis];
        row /= s->out[axis];
    }
    return start;
}

static void FN(gather_tap)(const convolution_args *s, const real *plane, int64_t tap, real *to) {
    FN(tap_walk) walk = FN(tap_walk_of)(s, tap);
    for (int64_t row = 0; row < walk.rows; row++, to += walk.run) {
        int64_t start = FN(run_start)(s, &walk, row);
        if (start < 0) {
            memset(to, 0, sizeof(real) * walk.run);
            continue;
        }
        const real *from = plane + start + walk.first;
        for (int64_t i = 0; i < walk.from; i++) to[i] = 0;
        if (walk.step == 1)
            for (int64_t i = walk.from; i < walk.to; i++) to[i] = from[i];
        else
            for (int64_t i = walk.from; i < walk.to; i++) to[i] = from[i * walk.step];
        for (int64_t i = walk.to; i < walk.run; i++) to[i] = 0;
    }
}

/* to[i] += from[i]. Up to the limits memory may be touched, so that a short run can be one whole
 * vector whose spare lanes add zero. */
static inline void FN(add_run)(const real *from, const real *from_limit, int64_t count, real *to,
                               const real *to_limit) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) *(VEC *)(to + i) += *(const VEC *)(from + i);
    if (i < count && to + i + LANES <= to_limit && from + i + LANES <= from_limit) {
        FN(lanes) lane;
        for (int64_t j = 0; j < LANES; j++) lane[j] = (__typeof__(lane[0]))j;
        const FN(lanes) wanted = lane < (FN(lanes)){0} + (__typeof__(lane[0]))(count - i);
        *(VEC *)(to + i) += (VEC)((FN(lanes))*(const VEC *)(from + i) & wanted);
        return;
    }
    for (; i < count; i++) to[i] += from[i];
}

static void FN(scatter_tap)(const convolution_args *s, const real *from, const real *from_limit,
                            FN(tap_walk) walk, real *plane, const real *plane_limit) {
    for (int64_t row = 0; row < walk.rows; row++, from += walk.run) {
        int64_t start = FN(run_start)(s, &walk, row);
        if (start < 0) continue;
        real *to = plane + start + walk.first;
        if (walk.step == 1)
            FN(add_run)(from + walk.from, from_limit, walk.to - walk.from, to + walk.from,
                        plane_limit);
        else
            for (int64_t i = walk.from; i < walk.to; i++) to[i * walk.step] += from[i];
    }
}

/* Lanes from … to - 1 of the vector at `at`; nothing else is read. */
#if defined(__AVX512F__) && REAL_IS_FLOAT
INLINE VEC FN(load_lanes)(const real *at, int64_t from, int64_t to) {
    return (VEC)_mm512_maskz_loadu_ps((__mmask16)((1u << to) - (1u << from)), at);
}
#else
INLINE VEC FN(load_lanes)(const real *at, int64_t from, int64_t to) {
    if (from == 0 && to == LANES) return *(const VEC *)at;
    VEC value = {0};
    for (int64_t i = from; i < to; i++) value[i] = at[i];
    return value;
}
#endif

/* A plane of x, set to the sum of what all taps' columns have for it. The filter neither steps along
 * rows nor is it larger than MOST_WALKS; a vector of x is summed up before it is stored. */
static void FN(scatter_plane)(const convolution_args *s, const real *columns, const FN(tap_walk) *walks,
                             real *plane) {
    const int64_t taps = s->kernel[0] * s->kernel[1], width = s->size[1], out = s->out[0] * s->out[1];
    for (int64_t y = 0; y < s->size[0]; y++, plane += width)
        for (int64_t at = 0; at < width; at += LANES) {
            const int64_t some = MIN(LANES, width - at);
            VEC sum = {0};
            for (int64_t tap = 0; tap < taps; tap++) {
                const FN(tap_walk) *walk = &walks[tap];
                const int64_t up = y - walk->offset[0], row = up / s->stride[0];
                if (up < 0 || row * s->stride[0] != up || row >= s->out[0]) continue;
                const int64_t first = at - walk->first; /* the output that lane 0 was seen by */
                const int64_t from = MAX(0, walk->from - first), to = MIN(some, walk->to - first);
                if (from < to)
                    sum += FN(load_lanes)(columns + tap * out + row * s->out[1] + first, from, to);
            }
            FN(store_some)(plane + at, sum, some);
        }
}

/* `channels` planes of x into rows of columns. */
static void FN(gather)(const convolution_args *s, const real *x, int64_t channels, real *columns,
                       int shared) {
    int64_t taps = FN(product_of)(s->kernel, s->axes), out = FN(product_of)(s->out, s->axes);
    int64_t plane = FN(product_of)(s->size, s->axes);
    PARALLEL_FOR(shared ? channels * taps * out : 0)
    for (int64_t row = 0; row < channels * taps; row++)
        FN(gather_tap)(s, x + row / taps * plane, row % taps, columns + row * out);
}

static void FN(scatter)(const convolution_args *s, const real *columns, int64_t channels, real *x,
                        int shared) {
    int64_t taps = FN(product_of)(s->kernel, s->axes), out = FN(product_of)(s->out, s->axes);
    int64_t plane = FN(product_of)(s->size, s->axes);
    FN(tap_walk) walks[MOST_WALKS];
    const int known = taps <= MOST_WALKS;
    for (int64_t tap = 0; known && tap < taps; tap++) walks[tap] = FN(tap_walk_of)(s, tap);
    PARALLEL_FOR(shared ? channels * taps * out : 0)
    for (int64_t c = 0; c < channels; c++) {
        if (known && s->axes == 2 && s->stride[1] == 1 && LANES >= 4) {
            FN(scatter_plane)(s, columns + c * taps * out, walks, x + c * plane);
            continue;
        }
        memset(x + c * plane, 0, sizeof(real) * plane);
        for (int64_t tap = 0; tap < taps; tap++)
            FN(scatter_tap)(s, columns + (c * taps + tap) * out, columns + channels * taps * out,
                            known ? walks[tap] : FN(tap_walk_of)(s, tap), x + c * plane,
                            x + (c + 1) * plane);
    }
}

/* The epilogue of the outputs from `channel` on, which begin at element `at` of y. */
INLINE FN(finish) FN(group_finish)(const convolution_args *s, int64_t channel, int64_t at) {
    FN(finish) f = FN(finish_of)(&s->store, 1);
    if (f.residual) f.residual += at;
    if (f.row_slopes) f.row_slopes += channel;
    return f;
}

/* The matrix of columns read straight from the image, without writing it out first: row r is tap
 * r % taps of channel r / taps, column j the output position j. */
typedef struct { const convolution_args *shape; const real *x; } FN(image);

/* `count` columns from (row, at) on — output at of run row — of one tap's matrix row. May write up to
 * LANES elements past the end, and reads only from begin to limit. */
static inline void FN(gather_some)(const convolution_args *s, const FN(tap_walk) *walk,
                                   const real *plane, int64_t row, int64_t at, int64_t count,
                                   const real *begin, const real *limit, real *to) {
    while (count > 0) {
        const int64_t some = MIN(walk->run - at, count);
        const int64_t start = FN(run_start)(s, walk, row);
        if (start < 0) {
            for (int64_t i = 0; i < some; i++) to[i] = 0;
        } else {
            const real *from = plane + start + walk->first + at * walk->step;
            const int64_t first = MIN(MAX(walk->from - at, 0), some);
            const int64_t end = MIN(MAX(walk->to - at, first), some);
            if (walk->step == 1 && from >= begin && from + some + LANES <= limit)
                for (int64_t i = 0; i < some; i += LANES)
                    *(VEC *)(to + i) = *(const VEC *)(from + i);
            else
                for (int64_t i = first; i < end; i++) to[i] = from[i * walk->step];
            if (first > 0 || end < some) {
                for (int64_t i = 0; i < first; i++) to[i] = 0;
                for (int64_t i = end; i < some; i++) to[i] = 0;
            }
        }
        to += some;
        count -= some;
        at = 0;
        row++;
    }
}

/* Panel by panel, row by row, so that what runs over is written again. */
static void FN(pack_image)(const void *source, real *packed, int64_t k, int64_t depth, int64_t j,
                           int64_t width) {
    const FN(image) *image = source;
    const convolution_args *s = image->shape;
    const int64_t taps = FN(product_of)(s->kernel, s->axes);
    const int64_t plane = FN(product_of)(s->size, s->axes);
    const int64_t images = (s->n - 1) * (s->x_image ? s->x_image : s->channels * plane);
    const real *begin = s->x, *limit = begin + images + s->channels * plane;
    FN(tap_walk) walks[MOST_DEPTH]; /* of the taps from the first one on, each once */
    for (int64_t d = 0; d < MIN(depth, taps); d++) walks[d] = FN(tap_walk_of)(s, (k + d) % taps);
    for (int64_t panel = 0; panel < width; panel += TILE_COLUMNS, packed += TILE_COLUMNS * depth) {
        const int64_t columns = MIN(TILE_COLUMNS, width - panel);
        const int64_t row = (j + panel) / walks[0].run, at = (j + panel) % walks[0].run;
        const real *x = image->x + k / taps * plane;
        int64_t tap = k % taps, walk = 0;
        real *to = packed;
        for (int64_t d = 0; d < depth; d++, to += TILE_COLUMNS) {
            FN(gather_some)(s, &walks[walk], x, row, at, columns, begin, limit, to);
            for (int64_t i = columns; i < TILE_COLUMNS; i++) to[i] = 0;
            if (++tap == taps) {
                tap = 0;
                x += plane;
            }
            if (++walk == taps) walk = 0;
        }
    }
}

/* The transposed matrix of all images from x on: B's row k is output position k % out of image
 * k / out, its column j tap row j. */
static void FN(pack_image_transposed)(const void *source, real *packed, int64_t k, int64_t depth,
                                      int64_t j, int64_t width) {
    const FN(image) *image = source;
    const convolution_args *s = image->shape;
    const int64_t taps = FN(product_of)(s->kernel, s->axes);
    const int64_t plane = FN(product_of)(s->size, s->axes), out = FN(product_of)(s->out, s->axes);
    const real *begin = s->x, *limit = begin + s->n * s->channels * plane;
    real rows[LANES][MOST_DEPTH + 2 * LANES]; /* LANES rows of the matrix, turned as a block */
    FN(tap_walk) walks[MOST_WALKS];
    const int known = taps <= MOST_WALKS;
    for (int64_t tap = 0; known && tap < taps; tap++) walks[tap] = FN(tap_walk_of)(s, tap);
    for (int64_t at = 0; at < width; at += LANES) {
        const int64_t some = MIN(LANES, width - at);
        for (int64_t i = 0; i < some; i++) {
            const int64_t r = j + at + i;
            if (!known) walks[0] = FN(tap_walk_of)(s, r % taps);
            const FN(tap_walk) walk = walks[known ? r % taps : 0];
            for (int64_t d = 0, some_out; d < depth; d += some_out) {
                const int64_t n = (k + d) / out, position = (k + d) % out;
                some_out = MIN(depth - d, out - position);
                FN(gather_some)(s, &walk, image->x + (n * s->channels + r / taps) * plane,
                                position / walk.run, position % walk.run, some_out, begin, limit,
                                rows[i] + d);
            }
        }
        real *to = packed + at / TILE_COLUMNS * TILE_COLUMNS * depth + at % TILE_COLUMNS;
        int64_t d = 0;
        for (; d + LANES <= depth; d += LANES)
            FN(transpose_rows)(rows[0] + d, MOST_DEPTH + 2 * LANES, some, to + d * TILE_COLUMNS,
                               TILE_COLUMNS);
        for (; d < depth; d++)
            for (int64_t i = 0; i < LANES; i++)
                to[d * TILE_COLUMNS + i] = i < some ? rows[i][d] : 0;
    }
    /* Vectors of the last panel that no row fell into. */
    for (int64_t at = (width + LANES - 1) / LANES * LANES; at % TILE_COLUMNS; at += LANES)
        for (int64_t d = 0; d < depth; d++)
            *(VEC *)(packed + at / TILE_COLUMNS * TILE_COLUMNS * depth + d * TILE_COLUMNS +
                     at % TILE_COLUMNS) = (VEC){0};
}

KERNEL(im2col) {
    ARGS(im2col);
    FN(gather)(&a->shape, a->shape.x, a->shape.n * a->shape.channels, a->columns, 1);
}

KERNEL(col2im) {
    ARGS(col2im);
    FN(scatter)(&a->shape, a->columns, a->shape.n * a->shape.channels, a->x, 1);
}
