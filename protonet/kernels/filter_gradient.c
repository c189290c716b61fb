/* The gradient of filters without columns: dW[o, (c, tap)] is the dot product of dy's plane o with
 * x's plane c as that tap sees it, over all images. Vectors lie along the pixels; some planes of dy
 * and some taps of x make a register block. Where the filter steps or looks over the border, x is
 * laid out first (depthwise.c). Sums go image by image in their order, whatever the team. */

#define GRADIENT_BYTES (512 << 10) /* of x, which all of dy goes past */
#define GRADIENT_PIXELS 4096       /* in a sum before it is added to dW */
#define GRADIENT_TAPS 512
#define FEW_CHANNELS 4 /* of images, whose planes are large */

typedef struct {
    const convolution_args *shape;
    int64_t in, out, taps;      /* channels of the group */
    int64_t parts;              /* of the outputs, of up to DOT_A rows each */
    int as_it_is;               /* x is read where it lies */
    int64_t runs, run;          /* runs of pixels that lie side by side, pixels of a run */
    int64_t pitch, channel;     /* elements of x as it is read, from run to run, from plane to plane */
    int64_t images, channels;   /* of x that are worked on together */
} FN(filter_gradient);

static FN(filter_gradient) FN(filter_gradient_of)(const convolution_args *s) {
    FN(filter_gradient) d = {.shape = s, .in = s->channels / s->group, .out = s->outputs / s->group};
    d.taps = s->kernel[0] * s->kernel[1];
    d.parts = (d.out + DOT_A - 1) / DOT_A;
    d.as_it_is = 1;
    for (int axis = 0; axis < 2; axis++)
        d.as_it_is = d.as_it_is && s->stride[axis] == 1 && s->pad[axis] == 0;
    d.pitch = d.as_it_is ? s->size[1]
                         : s->out[1] + (s->kernel[1] - 1) * s->dilation[1] / s->stride[1];
    const int joined = d.pitch == s->out[1];
    d.runs = joined ? 1 : s->out[0];
    d.run = joined ? s->out[0] * s->out[1] : s->out[1];
    return d;
}

/* to[i * DOT_B + j] = the sum over images and runs of dy's plane i times x at at[j]. */
INLINE void FN(gradient_block)(int rows, const FN(filter_gradient) *d, int64_t images,
                               const real *dy, int64_t dy_image, const real *x, int64_t x_image,
                               const int64_t *at, real *to) {
    enum { MOST = (DOT_A * DOT_B + VECTOR_LANES - 1) / VECTOR_LANES * VECTOR_LANES };
    const int64_t plane = d->shape->out[0] * d->shape->out[1], run = d->run, runs = d->runs;
    const int64_t whole = run / LANES * LANES, pitch = d->pitch;
    VEC sum[MOST];
#pragma GCC unroll 32
    for (int i = 0; i < rows * DOT_B; i++) sum[i] = (VEC){0};
    for (int64_t image = 0; image < images; image++)
        for (int64_t r = 0; r < runs; r++) {
            const real *a = dy + image * dy_image + r * run;
            const real *b[DOT_B];
#pragma GCC unroll 4
            for (int j = 0; j < DOT_B; j++) b[j] = x + image * x_image + r * pitch + at[j];
            for (int64_t p = 0; p < whole; p += LANES) {
                VEC seen[DOT_B];
#pragma GCC unroll 4
                for (int j = 0; j < DOT_B; j++) seen[j] = *(const VEC *)(b[j] + p);
#pragma GCC unroll 8
                for (int i = 0; i < rows; i++) {
                    const VEC error = *(const VEC *)(a + i * plane + p);
#pragma GCC unroll 4
                    for (int j = 0; j < DOT_B; j++) sum[i * DOT_B + j] += error * seen[j];
                }
            }
            if (whole < run) {
                VEC seen[DOT_B];
#pragma GCC unroll 4
                for (int j = 0; j < DOT_B; j++) seen[j] = FN(load_some)(b[j] + whole, run - whole);
#pragma GCC unroll 8
                for (int i = 0; i < rows; i++) {
                    const VEC error = FN(load_some)(a + i * plane + whole, run - whole);
#pragma GCC unroll 4
                    for (int j = 0; j < DOT_B; j++) sum[i * DOT_B + j] += error * seen[j];
                }
            }
        }
#pragma GCC unroll 32
    for (int i = 0; i < rows * DOT_B; i += VECTOR_LANES)
        *(VEC *)(to + i) = FN(sums_of_lanes)(sum + i, MIN(VECTOR_LANES, rows * DOT_B - i));
}

#define BLOCK(rows)                                                                             \
    case rows:                                                                                  \
        FN(gradient_block)(MIN(rows, DOT_A), d, images, dy, dy_image, x, x_image, at, to);      \
        break;
static void FN(gradients_of_rows)(int64_t rows, const FN(filter_gradient) *d, int64_t images,
                                  const real *dy, int64_t dy_image, const real *x, int64_t x_image,
                                  const int64_t *at, real *to) {
    switch (rows) {
        BLOCK(1)
#if TILE_ROWS * TILE_VECTORS >= 8
        BLOCK(2)
#endif
#if TILE_ROWS * TILE_VECTORS >= 12
        BLOCK(3)
#endif
#if TILE_ROWS * TILE_VECTORS >= 24
        BLOCK(4) BLOCK(5) BLOCK(6)
#endif
    }
}
#undef BLOCK

/* dW's rows of parts p0 … p1 - 1 += what `images` images give to `count` channels' taps, which are
 * at `at`. A part's rows do not depend on who takes it: blocks of different heights may round
 * differently. */
static void FN(gradient_part)(const FN(filter_gradient) *d, int64_t images, const real *dy,
                              const real *x, int64_t x_image, const int64_t *at, int64_t count,
                              int64_t p0, int64_t p1, real *dweight) {
    const convolution_args *s = d->shape;
    const int64_t plane = s->out[0] * s->out[1], columns = count * d->taps;
    for (int64_t part = p0; part < p1; part++) {
        const int64_t from = d->out * part / d->parts, end = d->out * (part + 1) / d->parts;
        for (int64_t first = 0; first < columns; first += DOT_B) {
            const int64_t j0 = MIN(first, columns - DOT_B);
            real sums[DOT_A * DOT_B + LANES];
            FN(gradients_of_rows)(end - from, d, images, dy + from * plane, s->outputs * plane, x,
                                  x_image, at + j0, sums);
            for (int64_t i = from; i < end; i++)
                for (int64_t j = first; j < MIN(columns, first + DOT_B); j++)
                    dweight[i * d->in * d->taps + j] += sums[(i - from) * DOT_B + j - j0];
        }
    }
}

/* One group's dweight += its gradient. */
static void FN(gradient_group)(FN(filter_gradient) *d, const real *x, const real *dy, real *dweight) {
    const convolution_args *s = d->shape;
    const int64_t size = s->size[0] * s->size[1], out = s->out[0] * s->out[1];
    int64_t offset[GRADIENT_TAPS];
    const FN(phases) f = FN(input_phases)(s, s->out[0], offset);
    d->channel = d->as_it_is ? size : f.image * s->stride[0] * s->stride[1];
    for (int64_t tap = 0; d->as_it_is && tap < d->taps; tap++)
        offset[tap] = tap / s->kernel[1] * s->dilation[0] * s->size[1] +
                      tap % s->kernel[1] * s->dilation[1];
    d->images = MAX(1, MIN(s->n, GRADIENT_PIXELS / out));
    d->channels = GRADIENT_BYTES / (int64_t)sizeof(real) / (d->channel * d->images);
    d->channels = MIN(d->in, MAX(DOT_B, d->channels / DOT_B * DOT_B));
    const int64_t chunks = d->in / d->channels, team = threads_count();
    const int64_t shares = MIN(d->parts, team > 1 ? 1 + 4 * team / chunks : 1);
    int64_t *at = workspace(WORKSPACE_PACK_A, sizeof(int64_t) * (size_t)(2 * d->in * d->taps));
    for (int64_t k = 0; k < 2 * d->in * d->taps; k++)
        at[k] = k / d->taps * d->channel + offset[k % d->taps];
    PARALLEL_FOR(s->n * d->out * out * d->in * d->taps / 16)
    for (int64_t job = 0; job < chunks * shares; job++) {
        const int64_t chunk = job / shares, share = job % shares;
        const int64_t c0 = d->in * chunk / chunks, c1 = d->in * (chunk + 1) / chunks;
        for (int64_t first = 0; first < s->n; first += d->images) {
            const int64_t images = MIN(d->images, s->n - first);
            const real *from = x + first * s->channels * size + c0 * size;
            int64_t x_image = s->channels * size;
            if (!d->as_it_is) {
                x_image = (c1 - c0) * d->channel;
                real *laid = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)(images * x_image));
                for (int64_t i = 0; i < images * (c1 - c0); i++)
                    FN(lay_phases)(from + i / (c1 - c0) * s->channels * size + i % (c1 - c0) * size,
                                   s, 0, &f, laid + i * d->channel);
                from = laid;
            }
            FN(gradient_part)(d, images, dy + first * s->outputs * out, from, x_image, at, c1 - c0,
                              d->parts * share / shares, d->parts * (share + 1) / shares,
                              dweight + c0 * d->taps);
        }
    }
}

static void FN(gradient_directly)(const convolution_args *s, const real *dy, real *dweight) {
    FN(filter_gradient) d = FN(filter_gradient_of)(s);
    for (int64_t g = 0; g < s->group; g++)
        FN(gradient_group)(&d, (const real *)s->x + g * d.in * s->size[0] * s->size[1],
                           dy + g * d.out * s->out[0] * s->out[1],
                           dweight + g * d.out * d.in * d.taps);
}

/* Whether it takes less time than a product over packed columns: the vectors must be full enough,
 * the planes not so small that adding up lanes costs as much as the rest, and packing worth
 * sparing: it is not for one tap and many outputs. */
static int FN(gradient_directly_pays)(const convolution_args *s) {
    if (s->axes != 2 || s->by_columns || s->kernel[0] * s->kernel[1] > GRADIENT_TAPS) return 0;
    const FN(filter_gradient) d = FN(filter_gradient_of)(s);
    const int64_t lanes = (d.run + LANES - 1) / LANES * LANES;
    const int cheap_rest = REAL_IS_FLOAT && VECTOR_LANES == 16; /* masked loads */
    const int64_t plane = s->out[0] * s->out[1];
    if (d.in * d.taps < DOT_B || LANES < 4 || plane < 128) return 0;
    if (d.taps == 1 && d.out >= 256 && plane < 1500) return 0;
    return cheap_rest ? 4 * d.run >= 3 * lanes : d.run % LANES == 0 || d.run >= 16 * LANES;
}
