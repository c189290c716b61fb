/* Convolution by AMX tiles whose columns are read where they lie: a strip of the input, split once into
 * pairs of channels with its border, in which each tap is at an offset. Runs go on over the ends of
 * rows, whose right border is the next one's left, and of images; what falls there is not stored. */

#if defined(__AVX512F__) && REAL_IS_FLOAT
#define STRIP_COLUMNS (TILED_COLUMNS * AMX_SIDE) /* of a block, at most */

typedef struct {
    const convolution_args *shape;
    FN(extent) e;
    int64_t taps, groups, steps;       /* groups of AMX_DEPTH channels; steps of all of k */
    int64_t pitch, tall;               /* columns of a row; rows of an image */
    int64_t rows, images;              /* of outputs, of a block */
    int64_t pair, low, size;           /* bytes from pair to pair, to the low parts, of a group */
    int64_t row_panels, columns;
} FN(strips);

static int64_t FN(strip_columns)(const FN(strips) *d, int64_t rows, int64_t images) {
    return ((images - 1) * d->tall + rows - 1) * d->pitch + d->shape->out[1];
}

static FN(strips) FN(strips_of)(const convolution_args *s) {
    FN(strips) d = {.shape = s, .e = FN(extent_of)(s), .taps = s->kernel[0] * s->kernel[1], .images = 1};
    const int64_t reach = (s->kernel[0] - 1) * s->dilation[0], wide = (s->kernel[1] - 1) * s->dilation[1];
    d.groups = (d.e.in_group + AMX_DEPTH - 1) / AMX_DEPTH;
    d.steps = d.groups * d.taps;
    d.row_panels = FN(tiled_panels)(d.e.out_group);
    d.pitch = MAX(s->size[1] + s->pad[1], s->out[1] + wide - s->pad[1]);
    d.tall = MAX(s->size[0] + s->pad[0], s->out[0] + reach - s->pad[0]);
    /* The rows whose vectors are fullest, none if one is too long; whole images, if there is room for more than one. */
    double best = 0;
    for (int64_t rows = 1; rows <= s->out[0]; rows++) {
        const int64_t columns = FN(strip_columns)(&d, rows, 1);
        if (columns > STRIP_COLUMNS) break;
        if (s->pool && rows % 2) continue;
        const int64_t blocks = (s->out[0] + rows - 1) / rows;
        const int64_t taken = blocks * ((columns + 47) / 16 * 16);
        const double full = (double)(s->out[0] * s->out[1]) / (double)taken;
        if (full >= best) best = full, d.rows = rows;
    }
    if (FN(strip_columns)(&d, s->out[0], 1) <= STRIP_COLUMNS) {
        d.rows = s->out[0];
        while (d.images < s->n && FN(strip_columns)(&d, d.rows, d.images + 1) <= STRIP_COLUMNS) d.images++;
    }
    d.columns = FN(strip_columns)(&d, d.rows, d.images);
    const int64_t lines = (d.images - 1) * d.tall + d.rows + reach;
    d.pair = (lines * d.pitch + s->pad[1] + wide + 3 * AMX_SIDE) * 4;
    d.pair = (d.pair / 128 * 2 + 3) * 64; /* an odd number of lines apart */
    d.low = AMX_DEPTH / 2 * d.pair;
    d.size = 2 * d.low;
    return d;
}

/* A pair of channels of a block, with its border; odd is NULL if there is none. */
static void FN(split_strip)(const FN(strips) *d, const real *even, const real *odd, int64_t x_image,
                            int64_t first, int64_t images, char *to) {
    const convolution_args *s = d->shape;
    const int64_t lines = (images - 1) * d->tall + d->rows + (s->kernel[0] - 1) * s->dilation[0];
    char *low = to + d->low;
    memset(to, 0, (size_t)(4 * s->pad[1]));
    memset(low, 0, (size_t)(4 * s->pad[1]));
    int64_t at = 4 * s->pad[1];
    for (int64_t line = 0; line < lines; line++, at += 4 * d->pitch) {
        const int64_t image = line / d->tall, row = first + line % d->tall - s->pad[0];
        const int64_t from = image * x_image + row * s->size[1];
        const int there = even && image < images && row >= 0 && row < s->size[0];
        int64_t done = 0;
        if (there) {
            amx_split_lines(even + from, odd ? odd + from : NULL, s->size[1], to + at, low + at);
            done = s->size[1];
        }
        memset(to + at + 4 * done, 0, (size_t)(4 * (d->pitch - done)));
        memset(low + at + 4 * done, 0, (size_t)(4 * (d->pitch - done)));
    }
    memset(to + at, 0, (size_t)(d->pair - at));
    memset(low + at, 0, (size_t)(d->pair - at));
}

/* The greatest of each 2×2 of two rows' finished sums. */
static void FN(store_greatest)(const FN(finish) *f, const real *sums, int64_t below, int64_t count, int64_t row,
                               real bias, real *to) {
    const VEC slope = (VEC){0} + (f->row_slopes ? f->row_slopes[row] : f->slope);
    const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_or_si512(even, _mm512_set1_epi32(1));
    for (int64_t v = 0; v < count; v += 2 * LANES) {
        __m512 most[2];
        for (int64_t half = 0; half < 2; half++) {
            VEC a = *(const VEC *)(sums + v + half * LANES) + bias;
            VEC b = *(const VEC *)(sums + below + v + half * LANES) + bias;
            if (f->what != PLAIN) a = FN(activated)(f, a, slope), b = FN(activated)(f, b, slope);
            most[half] = _mm512_max_ps((__m512)a, (__m512)b);
        }
        const __m512 left = _mm512_permutex2var_ps(most[0], even, most[1]);
        const __m512 right = _mm512_permutex2var_ps(most[0], odd, most[1]);
        FN(store_some)(to + v / 2, (VEC)_mm512_max_ps(left, right), MIN(LANES, (count - v) / 2));
    }
}

/* A row panel's sums of a block to y, without what fell between rows and images. */
static void FN(store_strip)(const FN(strips) *d, const FN(tiled) *t, int64_t row, int64_t first,
                            int64_t images, const real *sums) {
    const convolution_args *s = d->shape;
    const int64_t rows = MIN(AMX_SIDE, t->m - row), lines = MIN(d->rows, s->out[0] - first);
    const FN(finish) none = {.what = PLAIN}, *f = t->finish ? t->finish : &none;
    for (int64_t i = 0; i < rows; i++, sums += TILED_SUMS) {
        const real bias = t->row_bias ? t->row_bias[row + i] : 0;
        for (int64_t image = 0; image < images; image++) {
            for (int64_t line = 0; s->pool && line < lines; line += 2)
                FN(store_greatest)(f, sums + (image * d->tall + line) * d->pitch, d->pitch, s->out[1], row + i,
                                   bias, t->c + image * t->c_image + (row + i) * t->c_row +
                                             (first + line) / 2 * (s->out[1] / 2));
            for (int64_t line = 0; !s->pool && line < lines; line++) {
                const int64_t at = image * t->c_image + (row + i) * t->c_row + (first + line) * s->out[1];
                FN(store_finished)(f, sums + (image * d->tall + line) * d->pitch, s->out[1], row + i, bias,
                                   at, t->c + at);
            }
        }
    }
}

/* Rows from `first` on of some images, row panels r0 … r1 - 1. */
static void FN(strip_block)(const FN(strips) *d, const FN(tiled) *t, const real *x, int64_t x_image,
                            int64_t first, int64_t images, int64_t r0, int64_t r1) {
    const convolution_args *s = d->shape;
    const int64_t step = 4 * d->pitch, columns = FN(strip_columns)(d, d->rows, images);
    const int64_t blocks = (columns + AMX_SIDE - 1) / AMX_SIDE;
    char *strip = workspace(WORKSPACE_STRIPS, (size_t)(d->groups * d->size));
    real *sums = workspace(WORKSPACE_SUMS, sizeof(real) * (TILED_ROWS * AMX_SIDE * TILED_SUMS + LANES));
    int64_t *offset = workspace(WORKSPACE_STEPS_A, sizeof(int64_t) * (size_t)d->taps);
    for (int64_t tap = 0; tap < d->taps; tap++)
        offset[tap] = tap / s->kernel[1] * s->dilation[0] * step + tap % s->kernel[1] * s->dilation[1] * 4;
    for (int64_t c = 0; c < d->groups * AMX_DEPTH; c += 2)
        FN(split_strip)(d, c < d->e.in_group ? x + c * d->e.plane : NULL,
                        c + 1 < d->e.in_group ? x + (c + 1) * d->e.plane : NULL, x_image, first, images,
                        strip + c / AMX_DEPTH * d->size + c % AMX_DEPTH / 2 * d->pair);
    amx_open();
    for (int64_t r = r0; r < r1; r += TILED_ROWS)
        for (int64_t g = 0; g < d->groups; g++)
            for (int64_t i = r; i < MIN(r1, r + TILED_ROWS); i++) {
                const int64_t size = d->taps * AMX_STEP_BYTES, lines = (AMX_STEP_BYTES / 64 + blocks - 1) / blocks;
                const char *left = t->packed_a + (i * d->groups + g) * size;
                real *to = sums + (d->groups == 1 ? 0 : i - r) * AMX_SIDE * TILED_SUMS;
                for (int64_t j = 0; j < columns; j += AMX_SIDE) {
                    const amx_columns right = {strip + g * d->size + j * 4, offset, d->pair, 64, d->low, 128};
                    const amx_rows a = {left, left + d->groups * size + j / AMX_SIDE * d->taps * lines * 64, lines};
                    amx_multiply(d->taps, &a, &right, t->m - i * AMX_SIDE, columns - j, g > 0, to + j,
                                 TILED_SUMS);
                }
                if (g == d->groups - 1) FN(store_strip)(d, t, i * AMX_SIDE, first, images, to);
            }
    amx_close();
}

static int64_t FN(strips_size)(const convolution_args *s) { /* bytes of all groups' weights */
    const FN(strips) d = FN(strips_of)(s);
    return 64 + s->group * d.row_panels * d.steps * AMX_STEP_BYTES;
}

/* Weights by groups of channels, within them tap by tap. */
static void FN(strips_pack)(const convolution_args *s, void *packed) {
    const FN(strips) d = FN(strips_of)(s);
    PARALLEL_FOR(s->outputs * d.e.depth)
    for (int64_t job = 0; job < s->group * d.row_panels * d.steps; job++) {
        real taken[AMX_SIDE * AMX_DEPTH];
        const int64_t step = job % d.steps, panel = job / d.steps % d.row_panels;
        const int64_t g = job / d.steps / d.row_panels;
        const int64_t c0 = step / d.taps * AMX_DEPTH, o0 = panel * AMX_SIDE;
        const int64_t channels = MIN(AMX_DEPTH, d.e.in_group - c0), outputs = MIN(AMX_SIDE, d.e.out_group - o0);
        const real *from = (const real *)s->weight + (g * d.e.out_group + o0) * d.e.depth + c0 * d.taps;
        for (int64_t o = 0; o < outputs; o++)
            for (int64_t c = 0; c < channels; c++)
                taken[o * AMX_DEPTH + c] = from[o * d.e.depth + c * d.taps + step % d.taps];
        amx_split_rows(taken, AMX_DEPTH, outputs, channels, FN(aligned)(packed) + job * AMX_STEP_BYTES);
    }
}

static void FN(strips_convolve)(const convolution_args *s) {
    const FN(strips) d = FN(strips_of)(s);
    const int64_t plane = s->pool ? d.e.out / 4 : d.e.out, team = threads_count();
    const int64_t x_image = FN(x_step)(s, &d.e), y_image = s->y_image ? s->y_image : s->outputs * plane;
    const int64_t batches = (s->n + d.images - 1) / d.images, blocks = (s->out[0] + d.rows - 1) / d.rows;
    int64_t shares = 1; /* parts that the row panels are split into */
    while (team > 1 && s->group * batches * blocks * shares % team &&
           s->group * batches * blocks * shares < 4 * team && shares * 2 <= d.row_panels)
        shares *= 2;
    PARALLEL_FOR(s->n * d.e.out * s->outputs * d.e.depth / 64)
    for (int64_t job = 0; job < s->group * batches * blocks * shares; job++) {
        const int64_t share = job % shares, first = job / shares % blocks * d.rows;
        const int64_t image = job / shares / blocks % batches * d.images, g = job / shares / blocks / batches;
        const int64_t at = g * d.e.out_group * plane + image * y_image;
        const FN(finish) finish = FN(group_finish)(s, g * d.e.out_group, at);
        const FN(tiled) t = {
            .packed_a = FN(aligned)(s->packed) + g * d.row_panels * d.steps * AMX_STEP_BYTES,
            .m = d.e.out_group, .c = (real *)s->y + at, .c_row = plane, .c_image = y_image,
            .row_bias = s->bias ? (const real *)s->bias + g * d.e.out_group : NULL, .finish = &finish};
        FN(strip_block)(&d, &t, (const real *)s->x + image * x_image + g * d.e.in_group * d.e.plane, x_image,
                        first, MIN(d.images, s->n - image), d.row_panels * share / shares,
                        d.row_panels * (share + 1) / shares);
    }
}

static int FN(strips_can)(const convolution_args *s) {
    return s->tiles && amx_supported() && !s->by_columns && s->axes == 2 && s->stride[0] == 1 &&
           s->stride[1] == 1 && s->out[0] * s->out[1] > 0 && FN(strips_of)(s).rows > 0;
}

static int FN(strips_pay)(const convolution_args *s) {
    if (s->channels / s->group < 8 || s->n * s->out[0] * s->out[1] < 16) return 0;
    if (s->kernel[0] * s->kernel[1] == 1 || !FN(strips_can)(s)) return 0;
    const FN(strips) d = FN(strips_of)(s);
    const double blocks = (double)((s->n + d.images - 1) / d.images * ((s->out[0] + d.rows - 1) / d.rows));
    const double sides = (double)((d.e.out_group + 15) / 16 * ((d.columns + 15) / 16));
    const double depth = (double)(d.steps * AMX_DEPTH);
    const double split = (double)(d.groups * AMX_DEPTH * d.columns) * 0.6;
    return blocks * (sides * (depth * 7 + 100) + split) < FN(vectors_cost)(s, &d.e);
}

#else
static int FN(strips_can)(const convolution_args *s) { return (void)s, 0; }
static int FN(strips_pay)(const convolution_args *s) { return (void)s, 0; }
static int64_t FN(strips_size)(const convolution_args *s) { return (void)s, 0; }
static void FN(strips_pack)(const convolution_args *s, void *packed) { (void)s, (void)packed; }
static void FN(strips_convolve)(const convolution_args *s) { (void)s; }
#endif
