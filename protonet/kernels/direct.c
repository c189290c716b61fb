/* Convolution with vectors along the output channels: each pixel of the input, read where it lies, is
 * broadcast and multiplied by a vector of weights. Nothing is packed but the weights; only an
 * image with padding is copied, with its border. The tile is turned as it is stored.
 *
 * Every output is one chain of multiply-adds in the order of channel, row, column, so its bits
 * depend neither on the tile it falls into nor on the team. */

#define PANEL_VECTORS TILE_VECTORS
#define PANEL_CHANNELS TILE_COLUMNS
#define HALF_ROWS (TILE_ROWS > 1 ? TILE_ROWS / 2 : 1)
#define EVEN_ROWS (TILE_ROWS > 8 ? 8 : TILE_ROWS > 4 ? 4 : TILE_ROWS) /* for runs of 8, 16, 24 ... */
#define DIRECT_BYTES (256 << 10) /* of input that stay near the core while the weights go by */

typedef struct {
    const convolution_args *shape;
    int64_t rows, count;         /* runs of outputs, outputs of a run */
    int64_t x_row, step;         /* elements from a run's input to the next one's, and within it */
    int64_t depth;               /* multiply-adds of an output */
    int64_t channels, outputs;   /* of a group */
    int64_t panels;              /* of a group's weights */
    int64_t height, width;       /* of the input, its border included if it is copied */
    int copied;
} FN(direct);

static FN(direct) FN(direct_of)(const convolution_args *s) {
    FN(direct) d = {.shape = s, .channels = s->channels / s->group, .outputs = s->outputs / s->group};
    const int64_t taps = s->kernel[0] * s->kernel[1];
    d.depth = d.channels * taps;
    d.panels = FN(panels_of)(d.outputs);
    d.rows = s->out[0];
    d.count = s->out[1];
    d.step = s->stride[1];
    d.height = s->size[0];
    d.width = s->size[1];
    for (int axis = 0; axis < 2; axis++) { /* what the last window reads beyond the border, too */
        const int64_t sees = (s->out[axis] - 1) * s->stride[axis] + (s->kernel[axis] - 1) * s->dilation[axis] + 1;
        d.copied = d.copied || s->pad[axis] || sees > s->size[axis];
    }
    if (d.copied) {
        d.height = (s->out[0] - 1) * s->stride[0] + (s->kernel[0] - 1) * s->dilation[0] + 1;
        d.width = (s->out[1] - 1) * s->stride[1] + (s->kernel[1] - 1) * s->dilation[1] + 1;
    }
    d.x_row = d.width * s->stride[0];
    if (!d.copied && taps == 1 && s->stride[0] == 1 && s->stride[1] == 1) { /* one long run */
        d.count *= d.rows;
        d.rows = 1;
    }
    return d;
}

/* Where each multiply-add of an output finds its input, from the first one on. */
static void FN(direct_offsets)(const FN(direct) *d, int64_t plane, int64_t *offset) {
    const convolution_args *s = d->shape;
    for (int64_t c = 0; c < d->channels; c++)
        for (int64_t i = 0; i < s->kernel[0]; i++)
            for (int64_t j = 0; j < s->kernel[1]; j++)
                *offset++ = c * plane + i * s->dilation[0] * d->width + j * s->dilation[1];
}

/* Weights that will be wanted after these: `step` elements of them are called for with every multiply-add
 * of a pixel. */
typedef struct { const real *from; int64_t step; } FN(ahead);

/* to[i][v] = the sum over the depth of pixel i times weight vector v; `panel` elements lie between
 * panels of weights. */
INLINE void FN(multiply_pixels)(int pixels, int vectors, int64_t step, int64_t depth, const real *x,
                                const int64_t *offset, const real *weight, int64_t panel,
                                FN(ahead) ahead, VEC *to) {
    VEC sum[TILE_ROWS * PANEL_VECTORS];
#pragma GCC unroll 32
    for (int i = 0; i < pixels * vectors; i++) sum[i] = (VEC){0};
    for (int64_t d = 0; d < depth; d++, weight += PANEL_CHANNELS) {
        const real *from = x + offset[d];
        VEC row[2 * PANEL_VECTORS];
        /* The next tile's pixels: channels lie too far apart for the core to guess. */
        __builtin_prefetch(from + (2 * pixels - 1) * step);
        __builtin_prefetch(ahead.from, 0, 2);
        ahead.from += ahead.step;
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            row[v] = *(const VEC *)(weight + v / PANEL_VECTORS * panel + v % PANEL_VECTORS * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[i * vectors + v] += from[i * step] * row[v];
    }
#pragma GCC unroll 32
    for (int i = 0; i < pixels * vectors; i++) to[i] = sum[i];
}

typedef void FN(multiplier)(int64_t depth, const real *x, const int64_t *offset, const real *weight,
                            int64_t panel, FN(ahead) ahead, VEC *to);
#define MULTIPLIER(name, pixels, vectors, step)                                                   \
    static __attribute__((noinline)) void FN(name)(                                               \
        int64_t depth, const real *x, const int64_t *offset, const real *weight, int64_t panel,   \
        FN(ahead) ahead, VEC *to) {                                                               \
        FN(multiply_pixels)(pixels, vectors, step, depth, x, offset, weight, panel, ahead, to);   \
    }
#define MULTIPLIERS(step)                                  \
    MULTIPLIER(pixels_##step, TILE_ROWS, PANEL_VECTORS, step) \
    MULTIPLIER(narrow_##step, TILE_ROWS, 1, step)             \
    MULTIPLIER(even_##step, EVEN_ROWS, PANEL_VECTORS, step)   \
    MULTIPLIER(few_##step, HALF_ROWS, 2 * PANEL_VECTORS, step)
MULTIPLIERS(1)
MULTIPLIERS(2)
MULTIPLIERS(4)
MULTIPLIER(single, 1, 2 * PANEL_VECTORS, 1)

/* What all tiles of a group share. */
typedef struct {
    const FN(direct) *d;
    FN(multiplier) *whole, *narrow, *even, *few;
    const int64_t *offset;
    const real *weights;   /* of the group */
    FN(output_planes) to;
} FN(direct_job);

static void FN(choose_multipliers)(FN(direct_job) *job) {
    const int64_t step = job->d->step;
    job->whole = step == 1 ? FN(pixels_1) : step == 2 ? FN(pixels_2) : FN(pixels_4);
    job->narrow = step == 1 ? FN(narrow_1) : step == 2 ? FN(narrow_2) : FN(narrow_4);
    job->even = step == 1 ? FN(even_1) : step == 2 ? FN(even_2) : FN(even_4);
    job->few = step == 1 ? FN(few_1) : step == 2 ? FN(few_2) : FN(few_4);
}

/* Runs of outputs, for panels as far as p1 - 1. */
typedef struct {
    const real *x; /* under the first output of the first run */
    int64_t runs, at, count, p1; /* at: the place in y of the first output; count: outputs of a run */
} FN(direct_runs);

/* `pixels` outputs of `vectors` vectors of channels from `channel` on, as far as `end`. */
static void FN(direct_tile)(const FN(direct_job) *job, FN(multiplier) *multiply, int pixels, int vectors,
                            const real *x, const real *weights, int64_t panel, FN(ahead) ahead,
                            int64_t channel, int64_t end, int64_t at) {
    VEC sum[(TILE_ROWS + VECTOR_LANES) * 2 * PANEL_VECTORS];
    FN(call_for_pixels)(&job->to, channel, MIN(end, channel + vectors * LANES), at, pixels);
    multiply(job->d->depth, x, job->offset, weights, panel, ahead, sum);
    for (int v = 0; v < vectors && channel + v * LANES < end; v++)
        FN(store_pixels)(&job->to, pixels, sum + v, vectors, channel + v * LANES, at);
}

/* Outputs first ... end - 1 of each run by tiles of `pixels` × `vectors` vectors of channels from panel
 * p on, while the next panel's weights come. A tile that would leave its run begins earlier, and does
 * some outputs once more. */
static void FN(direct_tiles)(const FN(direct_job) *job, const FN(direct_runs) *runs,
                             FN(multiplier) *multiply, int pixels, int vectors, int64_t first,
                             int64_t end, int64_t p) {
    const FN(direct) *d = job->d;
    const int64_t tiles = runs->runs * ((end - first + pixels - 1) / pixels);
    const int64_t panel = d->depth * PANEL_CHANNELS, next = p + 1 < runs->p1 ? panel : 0;
    const int64_t channels = MIN(d->outputs, runs->p1 * PANEL_CHANNELS);
    const real *weights = job->weights + p * panel;
    FN(ahead) ahead = {weights + next, (PANEL_CHANNELS + tiles - 1) / tiles};
    for (int64_t run = 0; run < runs->runs; run++)
        for (int64_t i = first; i < end; i += pixels, ahead.from += ahead.step * d->depth) {
            const int64_t from = MIN(i, runs->count - pixels);
            FN(direct_tile)(job, multiply, pixels, vectors, runs->x + run * d->x_row + from * d->step,
                            weights, next, ahead, p * PANEL_CHANNELS, channels,
                            runs->at + run * d->shape->out[1] + from);
        }
}

/* Runs for panels from p0 on, by the tiles that waste least. */
static void FN(direct_panels)(const FN(direct_job) *job, const FN(direct_runs) *runs, int64_t p0) {
    const int64_t count = runs->count, rest = count % TILE_ROWS;
    const int64_t even = (count + EVEN_ROWS - 1) / EVEN_ROWS * EVEN_ROWS;
    int64_t whole = count - rest;
    const int64_t done = whole + (rest + HALF_ROWS - 1) / HALF_ROWS * HALF_ROWS;
    const int evens = count >= EVEN_ROWS && 21 * even < 20 * done;
    const int few = count >= HALF_ROWS ? HALF_ROWS : 1;
    if (evens || (count > TILE_ROWS && rest > HALF_ROWS)) whole = count;
    for (int64_t p = p0; p < runs->p1; p += 2) {
        for (int64_t q = p; q < MIN(p + 2, runs->p1) && whole; q++) {
            const int narrow = !evens && job->d->outputs - q * PANEL_CHANNELS <= LANES;
            FN(direct_tiles)(job, runs, evens ? job->even : narrow ? job->narrow : job->whole,
                             evens ? EVEN_ROWS : TILE_ROWS, narrow ? 1 : PANEL_VECTORS, 0, whole, q);
        }
        if (whole < count) /* narrow tiles of two panels */
            FN(direct_tiles)(job, runs, few == 1 ? FN(single) : job->few, few, 2 * PANEL_VECTORS,
                             whole, count, p);
    }
}

/* Rows first ... first + rows - 1 of a group's input with its border, channel by channel. */
static void FN(copy_with_border)(const FN(direct) *d, const real *x, int64_t first, int64_t rows,
                                 real *to) {
    const convolution_args *s = d->shape;
    for (int64_t c = 0; c < d->channels; c++, x += s->size[0] * s->size[1])
        for (int64_t r = 0; r < rows; r++, to += d->width) {
            const int64_t at = first + r - s->pad[0];
            if (at < 0 || at >= s->size[0])
                memset(to, 0, sizeof(real) * (size_t)d->width);
            else
                FN(lay_row)(x + at * s->size[1], s->size[1], -s->pad[1], 1, to, d->width);
        }
}

/* Runs r0 ... r1 - 1, outputs c0 ... c1 - 1 of each, panels p0 ... p1 - 1 of one image and group. */
static void FN(direct_part)(FN(direct_job) job, const real *x, int64_t r0, int64_t r1, int64_t c0,
                            int64_t c1, int64_t p0, int64_t p1) {
    const FN(direct) *d = job.d;
    const convolution_args *s = d->shape;
    const int64_t sees = (s->kernel[0] - 1) * s->dilation[0] + 1;
    const int64_t rows = (r1 - r0 - 1) * s->stride[0] + sees;
    const int64_t plane = d->copied ? rows * d->width : s->size[0] * s->size[1];
    int64_t *offset = workspace(WORKSPACE_PARTIAL, sizeof(int64_t) * (size_t)d->depth);
    FN(direct_offsets)(d, plane, offset);
    job.offset = offset;
    if (d->copied) {
        real *copy = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)(d->channels * plane + LANES));
        FN(copy_with_border)(d, x, r0 * s->stride[0], rows, copy);
        x = copy;
    } else
        x += r0 * d->x_row;
    const FN(direct_runs) runs = {x + c0 * d->step, r1 - r0, r0 * s->out[1] + c0, c1 - c0, p1};
    FN(direct_panels)(&job, &runs, p0);
}

static int64_t FN(direct_size)(const convolution_args *s) { /* bytes of all groups' weights */
    const FN(direct) d = FN(direct_of)(s);
    return (int64_t)sizeof(real) * s->group * FN(packed_b_size)(d.outputs, d.depth);
}

static void FN(direct_pack)(const convolution_args *s, int turned, real *packed) {
    const FN(direct) d = FN(direct_of)(s);
    for (int64_t g = 0; g < s->group; g++) {
        const FN(filters) f = FN(filters_of)(s, g, turned);
        FN(pack_all_b)(&f, FN(pack_filters), d.outputs, d.depth,
                       packed + g * FN(packed_b_size)(d.outputs, d.depth));
    }
}

static void FN(direct_convolve)(const convolution_args *s, const real *packed) {
    const FN(direct) d = FN(direct_of)(s);
    const int64_t in_plane = s->size[0] * s->size[1], plane = s->out[0] * s->out[1];
    const int64_t x_image = s->x_image ? s->x_image : s->channels * in_plane;
    const int64_t y_image = s->y_image ? s->y_image : s->outputs * plane;
    /* Parts: some runs, or some outputs of the one long run; then panels, until all have work. */
    const int64_t run_bytes = (int64_t)sizeof(real) * d.channels * (d.rows > 1 ? d.x_row : 1);
    const int64_t fits = MAX(1, DIRECT_BYTES / MAX(1, run_bytes));
    const int long_run = d.rows == 1;
    int64_t piece = long_run ? MAX(TILE_ROWS, fits / TILE_ROWS * TILE_ROWS) : MIN(d.rows, fits);
    const int64_t all = long_run ? d.count : d.rows, unit = long_run ? TILE_ROWS : 1;
    const int64_t units = (all + unit - 1) / unit;
    int64_t pieces = (all + piece - 1) / piece;
    const int64_t team = threads_count(), images = s->n * s->group;
    int64_t shares = 1; /* parts that the panels are split into */
    while (images * pieces * shares < 4 * team && team > 1 && shares * 2 <= d.panels) shares *= 2;
    if (team > 1 && images * pieces * shares < 2 * team)
        pieces = MIN(units, (2 * team + images * shares - 1) / (images * shares));
    const int by_panels = images == 1 && shares > 1 && d.outputs * d.depth > d.channels * in_plane;
    PARALLEL_FOR(s->n * s->outputs * plane * d.depth / 16)
    for (int64_t part = 0; part < images * pieces * shares; part++) {
        /* Of one image, whichever is larger is read by one thread: its pixels or the weights. */
        const int64_t share = by_panels ? part / pieces : part % shares;
        const int64_t at = by_panels ? part % pieces : part / shares % pieces;
        const int64_t g = part / shares / pieces % s->group, image = part / shares / pieces / s->group;
        const int64_t from = units * at / pieces * unit;
        const int64_t to = MIN(all, units * (at + 1) / pieces * unit);
        const int64_t p0 = d.panels * share / shares, p1 = d.panels * (share + 1) / shares;
        const int64_t y = image * y_image + g * d.outputs * plane;
        FN(direct_job) job = {.d = &d, .weights = packed + g * FN(packed_b_size)(d.outputs, d.depth),
                              .to = {FN(group_finish)(s, g * d.outputs, y),
                                     s->bias ? (const real *)s->bias + g * d.outputs : NULL,
                                     (real *)s->y + y, plane, d.outputs}};
        FN(choose_multipliers)(&job);
        const real *x = (const real *)s->x + image * x_image + g * d.channels * in_plane;
        if (long_run)
            FN(direct_part)(job, x, 0, 1, from, to, p0, p1);
        else
            FN(direct_part)(job, x, from, to, 0, d.count, p0, p1);
    }
}

static int FN(direct_can)(const convolution_args *s) {
    if (s->axes != 2 || s->by_columns || LANES < 4 || s->out[0] * s->out[1] == 0) return 0;
    return s->stride[1] == 1 || s->stride[1] == 2 || s->stride[1] == 4;
}

/* Whether the tiles are full enough, and the depth enough for the turning at the end. */
static int FN(direct_pays)(const convolution_args *s) {
    const int64_t depth = s->channels / s->group * s->kernel[0] * s->kernel[1];
    return FN(direct_can)(s) && s->outputs / s->group > LANES / 2 && depth >= 24;
}
