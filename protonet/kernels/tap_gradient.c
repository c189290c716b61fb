/* The gradient of filters pixel by pixel: dW[(c, tap), o] += x[c] as that tap sees the pixel, times
 * dy[o] there. Vectors lie along the outputs: dy is turned first, and x is read where it lies, or
 * from a copy with its border. Some taps side by side (channels, for a filter of one tap)
 * and some vectors of outputs make a register block. Pixels go by in chunks that depend on the
 * shape alone; each element is one chain of multiply-adds a chunk, and chunks go in their order. */

#define TAPS_ROWS (TILE_ROWS >= 14 ? 7 : TILE_ROWS >= 6 ? 3 : 1) /* of a register block */
#define TAPS_VECTORS (2 * TILE_VECTORS)                          /* of one, at most */
#define TAPS_PIXELS 1024                                         /* of a chunk */
#define TAPS_BYTES (256 << 10) /* of x, which stay near the core while all of dy goes by */

typedef struct {
    const convolution_args *shape;
    int64_t in, out, vectors;    /* channels of a group; vectors that its outputs take */
    int64_t rows;                /* of dW turned: in × taps */
    int64_t runs, run, step;     /* rows of a run see elements `step` apart */
    int64_t pieces;              /* of up to TAPS_ROWS rows, of a run */
    int64_t pitch, channel, image; /* elements of x as it is read, from row to row and so on */
    int64_t images, lines;       /* of a chunk: images whole, or lines of one image's outputs */
    int64_t height;              /* of a copied plane */
    int copied;
} FN(taps);

/* The vectors of the register block that begins at vector v: most, or what is left of them. */
static int64_t FN(taps_width)(int64_t vectors, int64_t v) {
    const int64_t left = vectors - v;
    return left > TAPS_VECTORS / 2 ? TAPS_VECTORS : left > 1 ? TAPS_VECTORS / 2 : 1;
}

/* The size of the fewest parts of `all` that are of at most `most`, and alike. */
static int64_t FN(share_of)(int64_t all, int64_t most) {
    const int64_t parts = (all + MAX(1, most) - 1) / MAX(1, most);
    return (all + parts - 1) / parts;
}

static FN(taps) FN(taps_of)(const convolution_args *s) {
    FN(taps) t = {.shape = s, .in = s->channels / s->group, .out = s->outputs / s->group};
    const int64_t size = s->size[0] * s->size[1], plane = s->out[0] * s->out[1];
    const int64_t least = (t.out + LANES - 1) / LANES;
    const int64_t rest = (least - 1) / TAPS_VECTORS * TAPS_VECTORS;
    t.vectors = rest + FN(taps_width)(least, rest);
    t.rows = t.in * s->kernel[0] * s->kernel[1];
    t.lines = FN(share_of)(s->out[0], TAPS_PIXELS / s->out[1]);
    t.images = t.lines < s->out[0] ? 1 : FN(share_of)(s->n, TAPS_PIXELS / plane);
    int64_t sees[2];
    for (int axis = 0; axis < 2; axis++) { /* what the last window reads beyond the border, too */
        const int64_t out = axis ? s->out[1] : t.lines;
        sees[axis] = (out - 1) * s->stride[axis] + (s->kernel[axis] - 1) * s->dilation[axis] + 1;
        t.copied = t.copied || s->pad[axis];
    }
    t.height = sees[0];
    t.pitch = t.copied ? sees[1] : s->size[1];
    t.channel = t.copied ? t.height * t.pitch : size;
    t.image = t.copied ? t.in * t.channel : s->channels * size;
    if (s->kernel[1] > 1) {
        t.runs = t.in * s->kernel[0];
        t.run = s->kernel[1];
        t.step = s->dilation[1];
    } else if (s->kernel[0] > 1) {
        t.runs = t.in;
        t.run = s->kernel[0];
        t.step = s->dilation[0] * t.pitch;
    } else {
        t.runs = 1;
        t.run = t.in;
        t.step = t.channel;
    }
    t.pieces = (t.run + TAPS_ROWS - 1) / TAPS_ROWS;
    return t;
}

/* to[i][v] += the sum over pixels of x, i steps on, times vector v of dy. */
INLINE void FN(taps_block)(int rows, int vectors, int64_t pixels, const real *x, int64_t step,
                           const int64_t *offset, const real *dy, real *to, int64_t to_row) {
    VEC sum[TAPS_ROWS * TAPS_VECTORS];
#pragma GCC unroll 32
    for (int i = 0; i < rows * vectors; i++) sum[i] = (VEC){0};
    for (int64_t p = 0; p < pixels; p++, dy += vectors * LANES) {
        const real *from = x + offset[p];
        VEC error[TAPS_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) error[v] = *(const VEC *)(dy + v * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[i * vectors + v] += from[i * step] * error[v];
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            *(VEC *)(to + i * to_row + v * LANES) += sum[i * vectors + v];
}

/* `near`: steps are 1, so that rows are addressed from one pointer. */
#define BLOCK(rows)                                                                         \
    case rows:                                                                              \
        FN(taps_block)(MIN(rows, TAPS_ROWS), vectors, pixels, x, near ? 1 : step, offset, dy, \
                       to, to_row);                                                         \
        break;
INLINE void FN(taps_blocks)(int vectors, int near, int64_t rows, int64_t pixels, const real *x,
                            int64_t step, const int64_t *offset, const real *dy, real *to,
                            int64_t to_row) {
    switch (rows) {
        BLOCK(1)
#if TILE_ROWS >= 6
        BLOCK(2) BLOCK(3)
#endif
#if TILE_ROWS >= 14
        BLOCK(4) BLOCK(5) BLOCK(6) BLOCK(7)
#endif
    }
}
#undef BLOCK

typedef void FN(taps_way)(int64_t rows, int64_t pixels, const real *x, int64_t step,
                          const int64_t *offset, const real *dy, real *to, int64_t to_row);
#define WAY(name, vectors, near)                                                                 \
    static __attribute__((noinline)) void FN(name)(int64_t rows, int64_t pixels, const real *x,  \
                                                   int64_t step, const int64_t *offset,          \
                                                   const real *dy, real *to, int64_t to_row) {   \
        FN(taps_blocks)(vectors, near, rows, pixels, x, step, offset, dy, to, to_row);           \
    }
WAY(taps_near_1, 1, 1)
WAY(taps_near_2, TAPS_VECTORS / 2, 1)
WAY(taps_near_4, TAPS_VECTORS, 1)
WAY(taps_far_1, 1, 0)
WAY(taps_far_2, TAPS_VECTORS / 2, 0)
WAY(taps_far_4, TAPS_VECTORS, 0)
#undef WAY

/* turned[pixel * width][lane] = `some` of dy's planes, for one vector of outputs; lanes that are none
 * count as zero. */
static void FN(turn_pixels)(const real *dy, int64_t plane, int64_t some, int64_t pixels,
                            int64_t width, real *turned) {
    int64_t p = 0;
    for (; p + LANES <= pixels; p += LANES)
        FN(transpose_rows)(dy + p, plane, some, turned + p * width * LANES, width * LANES);
    for (; p < pixels; p++)
        for (int64_t i = 0; i < LANES; i++)
            turned[p * width * LANES + i] = i < some ? dy[i * plane + p] : 0;
}

/* One plane's rows from `first` on as a chunk sees them, with their border. */
static void FN(copy_plane)(const FN(taps) *t, const real *x, int64_t first, real *to) {
    const convolution_args *s = t->shape;
    for (int64_t row = 0; row < t->height; row++, to += t->pitch) {
        const int64_t at = first + row;
        if (at < 0 || at >= s->size[0])
            memset(to, 0, sizeof(real) * (size_t)t->pitch);
        else
            FN(lay_row)(x + at * s->size[1], s->size[1], -s->pad[1], 1, to, t->pitch);
    }
}

/* sums[rows][vectors] += what lines `line` ... of images first ... give to one group. */
static void FN(taps_chunk)(const FN(taps) *t, const real *x, const real *dy, int64_t first,
                           int64_t images, int64_t line, int64_t lines, real *copy, real *turned,
                           int64_t *offset, real *sums) {
    const convolution_args *s = t->shape;
    const int64_t size = s->size[0] * s->size[1], plane = s->out[0] * s->out[1];
    const int64_t some = lines * s->out[1], pixels = images * some, start = line * s->stride[0];
    const int64_t work = pixels * t->rows * t->out / 16, wide = t->vectors * LANES;
    const int64_t tiles = (t->vectors + TAPS_VECTORS - 1) / TAPS_VECTORS;
    x += first * s->channels * size;
    dy += first * s->outputs * plane + line * s->out[1];
    int64_t *to = offset;
    for (int64_t image = 0; image < images; image++)
        for (int64_t i = 0; i < lines; i++)
            for (int64_t j = 0; j < s->out[1]; j++)
                *to++ = image * t->image + (i * s->stride[0] + (t->copied ? 0 : start)) * t->pitch +
                        j * s->stride[1];
    PARALLEL_FOR(work < PARALLEL_FROM ? 0 : 4 * pixels * (wide + t->rows))
    for (int64_t job = 0; job < images * (t->vectors + (t->copied ? t->in : 0)); job++) {
        const int64_t image = job % images, what = job / images, c = what - t->vectors;
        if (c >= 0) {
            FN(copy_plane)(t, x + (image * s->channels + c) * size, start - s->pad[0],
                           copy + image * t->image + c * t->channel);
            continue;
        }
        const int64_t v = what / TAPS_VECTORS * TAPS_VECTORS, width = FN(taps_width)(t->vectors, v);
        FN(turn_pixels)(dy + (image * s->outputs + what * LANES) * plane, plane,
                        MAX(0, MIN(LANES, t->out - what * LANES)), some, width,
                        turned + (v * pixels + image * some * width + what - v) * LANES);
    }
    const real *from = t->copied ? copy : x;
    /* Shares of the blocks, and of their dy, until all have work. */
    const int64_t units = t->runs * t->pieces, team = threads_count();
    const int64_t unit_bytes = (int64_t)sizeof(real) * images * t->channel * t->in / units;
    const int64_t fits = MAX(1, TAPS_BYTES / (1 + unit_bytes));
    const int64_t shares = MAX((units + fits - 1) / fits, MIN(units, team > 1 ? 4 * team : 1));
    PARALLEL_FOR(work)
    for (int64_t job = 0; job < tiles * shares; job++) {
        const int64_t v = job % tiles * TAPS_VECTORS, share = job / tiles;
        const int64_t width = FN(taps_width)(t->vectors, v);
        FN(taps_way) *way = t->step == 1 ? width == TAPS_VECTORS       ? FN(taps_near_4)
                                           : width == TAPS_VECTORS / 2 ? FN(taps_near_2)
                                                                       : FN(taps_near_1)
                            : width == TAPS_VECTORS                    ? FN(taps_far_4)
                            : width == TAPS_VECTORS / 2                ? FN(taps_far_2)
                                                                       : FN(taps_far_1);
        for (int64_t unit = units * share / shares; unit < units * (share + 1) / shares; unit++) {
            const int64_t run = unit / t->pieces, piece = unit % t->pieces;
            const int64_t row = t->run * piece / t->pieces, end = t->run * (piece + 1) / t->pieces;
            int64_t at = row * t->step;
            if (s->kernel[1] > 1)
                at += run / s->kernel[0] * t->channel +
                      run % s->kernel[0] * s->dilation[0] * t->pitch;
            else
                at += run * t->channel;
            way(end - row, pixels, from + at, t->step, offset, turned + v * pixels * LANES,
                sums + (run * t->run + row) * wide + v * LANES, wide);
        }
    }
}

/* dweight[outputs][rows] += sums turned. */
static void FN(add_turned)(const FN(taps) *t, const real *sums, real *dweight) {
    const int64_t wide = t->vectors * LANES;
    PARALLEL_FOR(t->rows * wide)
    for (int64_t o = 0; o < t->out; o += LANES) {
        const int64_t some = MIN(LANES, t->out - o);
        for (int64_t row = 0; row < t->rows; row += LANES) {
            real turned[LANES * LANES];
            const int64_t rows = MIN(LANES, t->rows - row);
            FN(transpose_rows)(sums + row * wide + o, wide, rows, turned, LANES);
            for (int64_t i = 0; i < some; i++)
                for (int64_t j = 0; j < rows; j++)
                    dweight[(o + i) * t->rows + row + j] += turned[i * LANES + j];
        }
    }
}

/* sums[rows][vectors] += what chunks first ... end - 1 give to one group. */
static void FN(taps_of_chunks)(const FN(taps) *t, const real *x, const real *dy, int64_t first,
                               int64_t end, real *sums) {
    const convolution_args *s = t->shape;
    const int64_t pixels = t->images * t->lines * s->out[1], wide = t->vectors * LANES;
    const int64_t of_image = (s->out[0] + t->lines - 1) / t->lines;
    const size_t each = sizeof(real);
    real *turned = workspace(WORKSPACE_PACKED, each * (size_t)(pixels * wide + LANES));
    real *copy = t->copied ? workspace(WORKSPACE_COLUMNS, each * (size_t)(t->images * t->image + LANES)) : NULL;
    int64_t *offset = workspace(WORKSPACE_PACK_A, sizeof(int64_t) * (size_t)pixels);
    for (int64_t chunk = first; chunk < end; chunk++) {
        const int64_t image = chunk / of_image * t->images, line = chunk % of_image * t->lines;
        FN(taps_chunk)(t, x, dy, image, MIN(t->images, s->n - image), line,
                       MIN(t->lines, s->out[0] - line), copy, turned, offset, sums);
    }
}

static int64_t FN(chunks_of)(const FN(taps) *t) {
    const convolution_args *s = t->shape;
    return (s->n + t->images - 1) / t->images * ((s->out[0] + t->lines - 1) / t->lines);
}

/* Where sums are small, chunks are, too: then the team shares not each, but runs of them. Their
 * number depends on the shape alone, and their sums are added in order. */
#define TAPS_PARTS 16
#define TAPS_SHARED_SUMS (1 << 16)

/* Of one tap without strides x and dy are alike: with x turned instead of dy, sums are dW as it lies, which
 * pays unless x is so much larger that turning it takes longer than turning them. */
static int FN(gradient_in_place)(const convolution_args *s, const real *dy, real *dweight) {
    convolution_args turned = *s;
    turned.channels = s->outputs;
    turned.outputs = s->channels;
    const int64_t size = s->size[0] * s->size[1];
    if (s->kernel[0] * s->kernel[1] != 1 || size != s->out[0] * s->out[1]) return 0;
    if ((s->channels - s->outputs) * s->n * size > 2 * s->channels * (s->outputs / s->group)) return 0;
    const FN(taps) t = FN(taps_of)(&turned);
    if (t.copied || t.vectors * LANES != t.out || t.rows * t.out <= TAPS_SHARED_SUMS) return 0;
    for (int64_t g = 0; g < s->group; g++)
        FN(taps_of_chunks)(&t, dy + g * t.in * size, (const real *)s->x + g * t.out * size, 0,
                           FN(chunks_of)(&t), dweight + g * t.in * t.out);
    return 1;
}

static void FN(gradient_by_taps)(const convolution_args *s, const real *dy, real *dweight) {
    if (FN(gradient_in_place)(s, dy, dweight)) return;
    const FN(taps) t = FN(taps_of)(s);
    const int64_t size = s->size[0] * s->size[1], plane = s->out[0] * s->out[1];
    const int64_t count = t.rows * t.vectors * LANES, chunks = FN(chunks_of)(&t);
    const int shared = count <= TAPS_SHARED_SUMS && chunks >= TAPS_PARTS / 2;
    const int64_t parts = shared ? MIN(chunks, TAPS_PARTS) : 1;
    real *sums = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)(count * parts + LANES));
    for (int64_t g = 0; g < s->group; g++) {
        const real *x = (const real *)s->x + g * t.in * size, *error = dy + g * t.out * plane;
        PARALLEL_FOR(parts > 1 ? s->n * plane * count / 16 : 0)
        for (int64_t part = 0; part < parts; part++) {
            memset(sums + part * count, 0, sizeof(real) * (size_t)count);
            FN(taps_of_chunks)(&t, x, error, chunks * part / parts, chunks * (part + 1) / parts,
                               sums + part * count);
        }
        for (int64_t part = 1; part < parts; part++)
            for (int64_t i = 0; i < count; i++) sums[i] += sums[part * count + i];
        FN(add_turned)(&t, sums, dweight + g * t.out * t.rows);
    }
}

/* Whether vectors of outputs are full enough, and the pixels enough for the turning. */
static int FN(gradient_by_taps_pays)(const convolution_args *s) {
    if (s->axes != 2 || s->by_columns || LANES < 4) return 0;
    return s->outputs / s->group > LANES / 2 && s->n * s->out[0] * s->out[1] >= 32;
}
