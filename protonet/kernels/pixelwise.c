/* Convolution with vectors along the pixels, for planes so wide and depths so small that turning
 * tiles (direct.c) costs more than a vector not quite full: a register block holds some vectors of
 * neighbouring pixels of some output channels while depth (input channels × taps) goes by. The image
 * is read as it lies, each tap at an offset; where the filter steps or looks over the border, a
 * strip of it is laid out for that first (depthwise.c). Each output is one chain of multiply-adds
 * in the order of depth, whatever the strips and the team. */

#define PIXELWISE_BYTES (384 << 10) /* a strip of the image: it stays in the second cache */
#define PIXELWISE_TAPS 512
#define PIXELWISE_PACKED (64 << 10) /* pixels packed for all outputs: they stay in the first caches */

/* One group's convolution. */
typedef struct {
    const convolution_args *shape;
    int64_t in, out, depth;        /* channels of the group; in * taps */
    int as_it_is;                  /* x is read where it lies */
    int64_t rows, strips;          /* rows of outputs in a strip, at most */
    int64_t pitch, channel;        /* elements from row to row, channel to channel of what is read */
    const int64_t *at;             /* where each k of depth is read */
    const int64_t *packed_at;      /* the same if pixels are packed first; NULL: they are not */
    const real *packed;
} FN(pixelwise);

/* ---- the register block ---------------------------------------------------------------------- */

/* Rows of y that a block's sums go to. */
typedef struct {
    real *y;
    int64_t y_row;
    const real *bias;         /* of the first row, or NULL */
    const FN(finish) *finish; /* at y, or NULL */
} FN(place);

INLINE FN(place) FN(place_at)(const FN(place) *to, int64_t row, int64_t column, FN(finish) *finish) {
    FN(place) at = {to->y + row * to->y_row + column, to->y_row, to->bias ? to->bias + row : NULL, NULL};
    if (to->finish) {
        *finish = FN(finish_at)(to->finish, row, column, to->y_row);
        at.finish = finish;
    }
    return at;
}

/* Rows of sums (sums_row apart, readable to whole vectors) to `columns` elements of y's rows. */
static void FN(store_sums)(const real *sums, int64_t sums_row, int64_t rows, int64_t columns,
                           const FN(place) *to) {
    const FN(finish) *f = to->finish;
    for (int64_t i = 0; i < rows; i++, sums += sums_row) {
        const real bias = to->bias ? to->bias[i] : 0;
        const VEC slope = (VEC){0} + (f ? f->row_slopes ? f->row_slopes[i] : f->slope : 0);
        for (int64_t j = 0; j < columns; j += LANES) {
            const int64_t some = MIN(LANES, columns - j);
            VEC value = *(const VEC *)(sums + j) + bias;
            if (f && f->residual) value += FN(load_some)(f->residual + i * to->y_row + j, some);
            if (f && f->what != PLAIN) value = FN(activated)(f, value, slope);
            FN(store_some)(to->y + i * to->y_row + j, value, some);
        }
    }
}

/* Calls for what store_sums will touch. */
INLINE void FN(prefetch_rows)(const FN(place) *to, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t at = 0; at < 2; at++) {
            const int64_t element = i * to->y_row + at * (columns - 1);
            __builtin_prefetch(to->y + element, 1);
            if (to->finish && to->finish->residual)
                __builtin_prefetch(to->finish->residual + element);
        }
}

typedef struct {
    int64_t depth;
    const real *x, *weights;
    const int64_t *at;
    int64_t first, outs, pixels; /* pixels to store, the first of which is at x + first */
    FN(place) place;
} FN(pixel_tile);

#undef CHEAP_STORE_SOME
#if defined(__AVX512F__) && REAL_IS_FLOAT
#define CHEAP_STORE_SOME 1
#else
#define CHEAP_STORE_SOME 0
#endif

/* Sums of `rows` output channels at `vectors` vectors of pixels. */
INLINE void FN(pixel_block)(const FN(pixel_tile) *t, int rows, int vectors) {
    VEC sum[TILE_ROWS][TILE_VECTORS];
    const real *weights = t->weights;
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) sum[i][j] = (VEC){0};
    FN(prefetch_rows)(&t->place, t->outs, t->pixels);
    for (int64_t k = 0; k < t->depth; k++, weights += TILE_ROWS) {
        const real *x = t->x + t->at[k];
        VEC row[TILE_VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            row[j] = *(const VEC *)(x + j * LANES);
            /* The next pixels: channels lie too far apart for the core to guess. */
            __builtin_prefetch(x + TILE_COLUMNS + j * LANES);
        }
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++) sum[i][j] += weights[i] * row[j];
    }
    const FN(finish) *f = t->place.finish;
    const int64_t last = t->pixels - (vectors - 1) * LANES; /* of the last vector */
    if ((last == LANES || (CHEAP_STORE_SOME && t->first == 0)) && (!f || f->what != ACTIVATE)) {
        const real *residual = f ? f->residual : NULL;
        const int rectify = f && f->what == RECTIFY;
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            real *to = t->place.y + i * t->place.y_row;
            const VEC bias = (t->place.bias ? t->place.bias[i] : 0) - (VEC){0};
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++) {
                const int cut = CHEAP_STORE_SOME && j == vectors - 1;
                VEC value = sum[i][j] + bias;
                if (residual) {
                    const real *more = residual + i * t->place.y_row + j * LANES;
                    value += cut ? FN(load_some)(more, last) : *(const VEC *)more;
                }
                if (rectify) value = FN(rectified)(value);
                if (cut)
                    FN(store_some)(to + j * LANES, value, last);
                else
                    *(VEC *)(to + j * LANES) = value;
            }
        }
        return;
    }
    real all[TILE_ROWS][TILE_COLUMNS + VECTOR_LANES];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) *(VEC *)&all[i][j * LANES] = sum[i][j];
    FN(store_sums)(all[0] + t->first, TILE_COLUMNS + VECTOR_LANES, t->outs, t->pixels, &t->place);
}

#define ROWS(count)                                        \
    case count:                                            \
        if (vectors == 1)                                  \
            FN(pixel_block)(t, count, 1);                  \
        else                                               \
            FN(pixel_block)(t, count, TILE_VECTORS);       \
        break;
static void FN(pixels_of_tile)(const FN(pixel_tile) *t, int64_t rows, int vectors) {
    switch (rows) {
        ROWS(1) ROWS(2)
#if TILE_ROWS >= 4
        ROWS(3) ROWS(4)
#endif
#if TILE_ROWS >= 6
        ROWS(5) ROWS(6)
#endif
#if TILE_ROWS >= 8
        ROWS(7) ROWS(8)
#endif
#if TILE_ROWS >= 14
        ROWS(9) ROWS(10) ROWS(11) ROWS(12) ROWS(13) ROWS(14)
#endif
    }
}
#undef ROWS

/* ---- pixels through all outputs ---------------------------------------------------------------- */

/* The parts that so many outputs are divided into, of at most TILE_ROWS and all but equal. */
INLINE int64_t FN(parts_of)(int64_t count) { return (count + TILE_ROWS - 1) / TILE_ROWS; }

/* What a block of pixels reads, one k of depth after another: planes lie far apart, and often just so
 * that they are in each other's way in the cache. */
static const real *FN(pack_pixels)(const FN(pixelwise) *d, const real *x, int vectors) {
    real *packed = workspace(WORKSPACE_PACK_B, sizeof(real) * (size_t)(d->depth * TILE_COLUMNS));
    for (int64_t k = 0; k < d->depth; k++)
        for (int v = 0; v < vectors; v++)
            *(VEC *)(packed + k * TILE_COLUMNS + v * LANES) =
                *(const VEC *)(x + d->at[k] + v * LANES);
    return packed;
}

/* `width` pixels side by side, all outputs. `before` elements in front of x may be read, too. */
static void FN(pixel_run)(const FN(pixelwise) *d, const real *x, int64_t before, int64_t width,
                          const FN(place) *place) {
    const int64_t parts = FN(parts_of)(d->out);
    for (int64_t at = 0; at < width; at += TILE_COLUMNS) {
        const int64_t pixels = MIN(TILE_COLUMNS, width - at);
        const int vectors = pixels > LANES ? TILE_VECTORS : 1;
        /* A last vector that is not full ends with the row: nothing behind it is read. */
        const int64_t shift = MIN(before + at, MAX(0, vectors * LANES - pixels));
        const real *from = x + at - shift;
        if (d->packed_at) from = FN(pack_pixels)(d, from, vectors);
        for (int64_t part = 0; part < parts; part++) {
            const int64_t first = d->out * part / parts, end = d->out * (part + 1) / parts;
            FN(finish) finish;
            FN(pixel_tile) t = {d->depth, from, d->packed + part * TILE_ROWS * d->depth,
                                d->packed_at ? d->packed_at : d->at, shift, end - first, pixels,
                                FN(place_at)(place, first, at, &finish)};
            FN(pixels_of_tile)(&t, end - first, vectors);
        }
    }
}

/* Rows first … end - 1 of outputs, from what is read at x. */
static void FN(pixel_strip)(const FN(pixelwise) *d, const real *x, int64_t first, int64_t end,
                            const FN(place) *place) {
    const int64_t line = d->shape->out[1], before = d->as_it_is ? first * d->pitch : 0;
    const int joined = d->pitch == line; /* rows follow one another without a gap */
    for (int64_t row = first; row < (joined ? first + 1 : end); row++, x += d->pitch) {
        FN(finish) finish;
        const FN(place) to = FN(place_at)(place, 0, row * line, &finish);
        FN(pixel_run)(d, x, before, joined ? (end - first) * line : line, &to);
    }
}

/* Strip `strip` of an image that is read as it lies, all rows joined: some whole panels of pixels. */
static void FN(joined_strip)(const FN(pixelwise) *d, const real *x, int64_t strip, const FN(place) *place) {
    const int64_t all = d->shape->out[0] * d->shape->out[1], units = FN(panels_of)(all);
    const int64_t first = units * strip / d->strips * TILE_COLUMNS;
    const int64_t end = MIN(all, units * (strip + 1) / d->strips * TILE_COLUMNS);
    FN(finish) finish;
    const FN(place) to = FN(place_at)(place, 0, first, &finish);
    FN(pixel_run)(d, x + first, first, end - first, &to);
}

/* Strips whose part of the image stays in cache, and enough of them for the team. */
static void FN(divide_into_strips)(FN(pixelwise) *d) {
    const convolution_args *s = d->shape;
    const int64_t images = d->as_it_is ? 1 : s->stride[0] * s->stride[1];
    const int64_t a_row = d->in * d->pitch * images * (int64_t)sizeof(real);
    const int64_t halo = (s->kernel[0] - 1) * s->dilation[0] / s->stride[0], height = s->out[0];
    const int64_t most = MAX(PIXELWISE_BYTES / a_row - halo, MAX(1, halo));
    const int64_t team = threads_count();
    d->strips = (height + most - 1) / most;
    if (team > 1 && s->n * d->strips < 4 * team) d->strips = (4 * team + s->n - 1) / s->n;
    d->strips = MIN(height, d->strips);
    d->rows = (height + d->strips - 1) / d->strips;
}

/* Whether pixels are used by so many outputs that packing them first costs little. */
static int FN(packing_pays)(const FN(pixelwise) *d) {
    return d->as_it_is && d->out >= 7 * TILE_ROWS &&
           d->depth * TILE_COLUMNS * (int64_t)sizeof(real) <= PIXELWISE_PACKED;
}

/* One group of all images. */
static void FN(pixelwise_group)(FN(pixelwise) *d, const real *x, int64_t x_image, int64_t y_image,
                                const FN(place) *place) {
    const convolution_args *s = d->shape;
    const int64_t taps = s->kernel[0] * s->kernel[1], size = s->size[0] * s->size[1];
    int64_t offset[PIXELWISE_TAPS];
    FN(divide_into_strips)(d);
    const FN(phases) f = FN(input_phases)(s, d->rows, offset);
    if (d->as_it_is)
        for (int64_t tap = 0; tap < taps; tap++)
            offset[tap] = tap / s->kernel[1] * s->dilation[0] * s->size[1] +
                          tap % s->kernel[1] * s->dilation[1];
    d->channel = d->as_it_is ? size : f.image * s->stride[0] * s->stride[1];
    int64_t *at = workspace(WORKSPACE_PACK_A, 2 * sizeof(int64_t) * (size_t)d->depth);
    for (int64_t k = 0; k < d->depth; k++) {
        at[k] = k / taps * d->channel + offset[k % taps];
        at[d->depth + k] = k * TILE_COLUMNS;
    }
    d->at = at;
    d->packed_at = FN(packing_pays)(d) ? at + d->depth : NULL;
    PARALLEL_FOR(s->n * d->out * s->out[0] * s->out[1] * d->depth / 16)
    for (int64_t job = 0; job < s->n * d->strips; job++) {
        const int64_t image = job / d->strips, strip = job % d->strips;
        const int64_t first = s->out[0] * strip / d->strips;
        const int64_t end = s->out[0] * (strip + 1) / d->strips;
        const real *from = x + image * x_image;
        FN(finish) finish;
        const FN(place) to = FN(place_at)(place, 0, image * y_image, &finish);
        if (d->as_it_is && d->pitch == s->out[1]) {
            FN(joined_strip)(d, from, strip, &to);
            continue;
        }
        if (d->as_it_is)
            from += first * d->pitch;
        else {
            real *laid = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)(d->in * d->channel));
            for (int64_t c = 0; c < d->in; c++)
                FN(lay_phases)(from + c * size, s, first, &f, laid + c * d->channel);
            from = laid;
        }
        FN(pixel_strip)(d, from, first, end, &to);
    }
}

/* ---- the convolution ---------------------------------------------------------------------------- */

static FN(pixelwise) FN(pixelwise_of)(const convolution_args *s) {
    FN(pixelwise) d = {.shape = s, .in = s->channels / s->group, .out = s->outputs / s->group};
    d.depth = d.in * s->kernel[0] * s->kernel[1];
    d.as_it_is = 1;
    for (int axis = 0; axis < 2; axis++)
        d.as_it_is = d.as_it_is && s->stride[axis] == 1 && s->pad[axis] == 0 &&
                     s->out[axis] + (s->kernel[axis] - 1) * s->dilation[axis] == s->size[axis];
    d.pitch = s->out[1] + (s->kernel[1] - 1) * s->dilation[1] / s->stride[1];
    const int64_t line = d.pitch == s->out[1] ? s->out[0] * s->out[1] : s->out[1];
    if (line < TILE_COLUMNS) d.as_it_is = 0; /* vectors would read behind the last row */
    return d;
}

/* Elements of one group's packed weights, with what packing runs over. */
static int64_t FN(pixelwise_packed_size)(const FN(pixelwise) *d) {
    return FN(parts_of)(d->out) * TILE_ROWS * d->depth + LANES;
}

static int64_t FN(pixelwise_size)(const convolution_args *s) { /* bytes of all groups' weights */
    const FN(pixelwise) d = FN(pixelwise_of)(s);
    return (int64_t)sizeof(real) * s->group * FN(pixelwise_packed_size)(&d);
}

static void FN(pixelwise_pack)(const convolution_args *s, int turned, real *packed) {
    const FN(pixelwise) d = FN(pixelwise_of)(s);
    const int64_t parts = FN(parts_of)(d.out);
    for (int64_t g = 0; g < s->group; g++, packed += FN(pixelwise_packed_size)(&d)) {
        const FN(filters) f = FN(filters_of)(s, g, turned);
        for (int64_t part = 0; part < parts; part++)
            FN(pack_filter_rows)(&f, d.out * part / parts, d.out * (part + 1) / parts, d.depth,
                                 packed + part * TILE_ROWS * d.depth);
    }
}

static void FN(pixelwise_convolve)(const convolution_args *s, const real *packed) {
    FN(pixelwise) d = FN(pixelwise_of)(s);
    const int64_t plane = s->size[0] * s->size[1], out = s->out[0] * s->out[1];
    const int64_t x_image = s->x_image ? s->x_image : s->channels * plane;
    const int64_t y_image = s->y_image ? s->y_image : s->outputs * out;
    for (int64_t g = 0; g < s->group; g++) {
        const FN(finish) finish = FN(group_finish)(s, g * d.out, g * d.out * out);
        const FN(place) place = {(real *)s->y + g * d.out * out, out,
                                 s->bias ? (const real *)s->bias + g * d.out : NULL,
                                 FN(finishes)(&finish) ? &finish : NULL};
        d.packed = packed + g * FN(pixelwise_packed_size)(&d);
        FN(pixelwise_group)(&d, (const real *)s->x + g * d.in * plane, x_image, y_image, &place);
    }
}

/* The time that a group of one image takes along its pixels, and direct.c's way across its channels,
 * in cycles of one vector product, as measured. */
static double FN(along_pixels)(const convolution_args *s) {
    const FN(pixelwise) d = FN(pixelwise_of)(s);
    const int64_t all = s->out[0] * s->out[1], width = d.pitch == s->out[1] ? all : s->out[1];
    const int64_t laid = d.as_it_is ? 0 : d.in * s->size[0] * s->size[1] * 3 / 2;
    return (double)(all / width * d.out * ((width + LANES - 1) / LANES) * (d.depth + 4) + laid);
}
static double FN(across_channels)(const convolution_args *s) {
    const int64_t depth = s->channels / s->group * s->kernel[0] * s->kernel[1];
    const int64_t vectors = (s->outputs / s->group + LANES - 1) / LANES;
    return (double)(s->out[0] * s->out[1] * vectors * (depth + 14));
}

static int FN(pixelwise_can)(const convolution_args *s) {
    return s->axes == 2 && !s->by_columns && s->kernel[0] * s->kernel[1] <= PIXELWISE_TAPS &&
           s->out[0] * s->out[1] * s->channels > 0;
}

static int FN(pixelwise_pays)(const convolution_args *s) {
    return FN(pixelwise_can)(s) && FN(along_pixels)(s) < FN(across_channels)(s);
}
