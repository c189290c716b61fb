/* Convolution by AMX tiles of few channels, or with strides: the input is split once, line by line, into
 * pairs of neighbouring taps, so that all columns of a pair lie side by side and are only copied.
 *
 * Taps 2j and 2j + 1 of output i are elements stride i + 2j dilation - pad and the one `dilation` further on.
 * That is pair i + ahead[j] of phase[j], whose pair q begins at element stride q + phase - pad. */

#if defined(__AVX512F__) && REAL_IS_FLOAT
#define LINES_BYTES (1 << 20) /* of a band */

typedef struct {
    const convolution_args *shape;
    FN(extent) e;
    int64_t halves;            /* pairs of a filter's row */
    int64_t pairs, k;          /* of a filter; the inner size, with what fills up odd rows */
    int64_t length;            /* pairs of a line */
    int64_t rows, lines;       /* of outputs in a band, of the input under it */
    int64_t bands;
} FN(lines);

static FN(lines) FN(lines_of)(const convolution_args *s) {
    FN(lines) d = {.shape = s, .e = FN(extent_of)(s), .halves = (s->kernel[1] + 1) / 2};
    d.pairs = d.e.in_group * s->kernel[0] * d.halves;
    d.k = 2 * d.pairs;
    d.length = (s->out[1] + 2 * (d.halves - 1) * s->dilation[1] / s->stride[1] + 15) / 16 * 16;
    /* A 16th of the image, as far as it fits, but not much less than the rows around it that it sees. */
    const int64_t reach = (s->kernel[0] - 1) * s->dilation[0] + 1;
    const int64_t row_bytes = 8 * d.e.in_group * s->stride[0] * s->stride[1] * d.length;
    d.rows = MAX(MIN((s->out[0] + 15) / 16, LINES_BYTES / row_bytes),
                 (3 * reach + s->stride[0] - 1) / s->stride[0]);
    d.rows = MIN(d.rows, s->out[0]);
    d.bands = (s->out[0] + d.rows - 1) / d.rows;
    d.lines = (d.rows - 1) * s->stride[0] + reach;
    return d;
}

/* Where each pair's columns are of the band's first row: high parts, in bytes. */
static void FN(line_offsets)(const FN(lines) *d, int64_t *offset) {
    const convolution_args *s = d->shape;
    for (int64_t c = 0; c < d->e.in_group; c++)
        for (int64_t i = 0; i < s->kernel[0]; i++)
            for (int64_t j = 0; j < d->halves; j++) {
                const int64_t at = 2 * j * s->dilation[1], phase = at % s->stride[1];
                const int64_t line = (phase * d->e.in_group + c) * d->lines + i * s->dilation[0];
                *offset++ = 4 * (line * d->length + at / s->stride[1]);
            }
}

/* All lines under a band that begins at output row `first`. */
static void FN(split_lines)(const FN(lines) *d, const real *x, int64_t first, char *high, char *low) {
    const convolution_args *s = d->shape;
    real *even = workspace(WORKSPACE_READ, sizeof(real) * 2 * (size_t)d->length), *odd = even + d->length;
    const int64_t bytes = 4 * d->length;
    for (int64_t phase = 0; phase < s->stride[1]; phase++) {
        int wanted = 0;
        for (int64_t j = 0; j < d->halves; j++) wanted |= 2 * j * s->dilation[1] % s->stride[1] == phase;
        for (int64_t line = 0; wanted && line < d->e.in_group * d->lines; line++) {
            const int64_t row = first * s->stride[0] + line % d->lines - s->pad[0];
            const int64_t at = (phase * d->e.in_group * d->lines + line) * bytes;
            const real *from = x + line / d->lines * d->e.plane + row * s->size[1];
            if (row < 0 || row >= s->size[0]) {
                memset(high + at, 0, (size_t)bytes);
                memset(low + at, 0, (size_t)bytes);
                continue;
            }
            FN(lay_row)(from, s->size[1], phase - s->pad[1], s->stride[1], even, d->length);
            FN(lay_row)(from, s->size[1], phase - s->pad[1] + s->dilation[1], s->stride[1], odd, d->length);
            amx_split_lines(even, odd, d->length, high + at, low + at);
        }
    }
}

typedef struct {
    const FN(lines) *d;
    const char *high, *low;
    const int64_t *offset;
} FN(band);

/* 16 columns of pairs `pair` …, from output `pixel` of the band on, to tiles of high and of low parts. A row
 * of odd length ends with half a pair; what lies in the other half is not the filter's, and may be no number. */
static void FN(copy_pairs)(const FN(band) *b, int64_t pixel, int64_t count, int64_t pair, int64_t pairs,
                           char *to) {
    const int64_t halves = b->d->halves, *offset = b->offset + pair;
    const __m512i half = _mm512_set1_epi32(b->d->shape->kernel[1] % 2 ? 0xffff : -1);
    int64_t until = halves - 1 - pair % halves; /* the row's last pair */
    const int64_t wide = b->d->shape->out[1], row = pixel / wide, column = pixel % wide;
    const int64_t here = MIN(count, wide - column), step = 4 * b->d->shape->stride[0] * b->d->length;
    const __mmask16 first = (__mmask16)(here <= 0 ? 0 : (1u << here) - 1);
    const __mmask16 rest = (__mmask16)(count <= here ? 0 : (1u << count) - (1u << here));
    const char *high = b->high + row * step + 4 * column, *low = b->low + row * step + 4 * column;
    const int64_t next = step - 4 * wide; /* what the next row's columns lie behind this one's */
    for (int64_t i = 0; i < pairs; i++, to += 64) {
        __m512i h = _mm512_maskz_loadu_epi32(first, high + offset[i]);
        __m512i l = _mm512_maskz_loadu_epi32(first, low + offset[i]);
        if (rest) {
            h = _mm512_mask_loadu_epi32(h, rest, high + offset[i] + next);
            l = _mm512_mask_loadu_epi32(l, rest, low + offset[i] + next);
        }
        if (i == until) {
            h = _mm512_and_si512(h, half);
            l = _mm512_and_si512(l, half);
            until += halves;
        }
        _mm512_store_si512(to, h);
        _mm512_store_si512(to + AMX_STEP_BYTES / 2, l);
    }
    if (pairs < AMX_DEPTH / 2) {
        memset(to, 0, (size_t)(64 * (AMX_DEPTH / 2 - pairs)));
        memset(to + AMX_STEP_BYTES / 2, 0, (size_t)(64 * (AMX_DEPTH / 2 - pairs)));
    }
}

/* The steps of AMX_SIDE columns (an FN(splitter)). */
static void FN(take_lines)(const void *source, int64_t first, int64_t columns, int64_t k, int64_t depth,
                           char *steps) {
    const FN(band) *b = source;
    for (int64_t at = 0; at < depth; at += AMX_DEPTH, steps += AMX_STEP_BYTES) {
        const int64_t pairs = MIN(AMX_DEPTH, depth - at) / 2;
        const int64_t pair = (k + at) / 2;
        FN(copy_pairs)(b, first, MIN(16, columns), pair, pairs, steps);
        if (columns > 16)
            FN(copy_pairs)(b, first + 16, columns - 16, pair, pairs, steps + AMX_STEP_BYTES / 4);
    }
}

static int64_t FN(lines_size)(const convolution_args *s) { /* bytes of all groups' weights */
    const FN(lines) d = FN(lines_of)(s);
    return 64 + s->group * FN(tiled_size)(d.e.out_group, d.k);
}

/* Weights with their rows filled up to whole pairs. */
static void FN(lines_pack)(const convolution_args *s, void *packed) {
    const FN(lines) d = FN(lines_of)(s);
    const int64_t wide = 2 * d.halves, rows = d.e.out_group * d.e.in_group * s->kernel[0];
    real *filled = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)(rows * wide));
    for (int64_t g = 0; g < s->group; g++) {
        const real *from = (const real *)s->weight + g * rows * s->kernel[1];
        for (int64_t row = 0; row < rows; row++)
            for (int64_t j = 0; j < wide; j++)
                filled[row * wide + j] = j < s->kernel[1] ? from[row * s->kernel[1] + j] : 0;
        const FN(tiled) t = {.a = filled, .a_row = d.k, .m = d.e.out_group, .k = d.k};
        FN(tiled_pack)(&t, 0, FN(aligned)(packed) + g * FN(tiled_size)(d.e.out_group, d.k));
    }
}

static void FN(lines_convolve)(const convolution_args *s) {
    const FN(lines) d = FN(lines_of)(s);
    const int64_t bytes = 4 * s->stride[1] * d.e.in_group * d.lines * d.length + 64;
    PARALLEL_FOR(s->n * d.e.out * s->outputs * d.e.depth / 64)
    for (int64_t job = 0; job < s->n * s->group * d.bands; job++) {
        const int64_t first = job % d.bands * d.rows, g = job / d.bands % s->group;
        const int64_t image = job / d.bands / s->group;
        const int64_t at = g * d.e.out_group * d.e.out + image * FN(y_step)(s, &d.e) + first * s->out[1];
        const real *x = (const real *)s->x + image * FN(x_step)(s, &d.e) + g * d.e.in_group * d.e.plane;
        char *high = workspace(WORKSPACE_STRIPS, 2 * (size_t)bytes + sizeof(int64_t) * (size_t)d.pairs);
        int64_t *offset = (int64_t *)(high + 2 * bytes);
        const FN(band) band = {&d, high, high + bytes, offset};
        const FN(finish) finish = FN(group_finish)(s, g * d.e.out_group, at);
        FN(line_offsets)(&d, offset);
        FN(split_lines)(&d, x, first, high, high + bytes);
        const FN(tiled) t = {
            .packed_a = FN(aligned)(s->packed) + g * FN(tiled_size)(d.e.out_group, d.k),
            .split = FN(take_lines), .b = &band, .m = d.e.out_group,
            .n = MIN(d.rows, s->out[0] - first) * s->out[1], .k = d.k, .c = (real *)s->y + at,
            .c_row = d.e.out, .plane = d.e.out, .c_image = FN(y_step)(s, &d.e),
            .row_bias = s->bias ? (const real *)s->bias + g * d.e.out_group : NULL,
            .finish = FN(finishes)(&finish) ? &finish : NULL};
        FN(tiled_part)(&t, 0, FN(tiled_panels)(t.m), 0, FN(tiled_panels)(t.n));
    }
}

static int FN(lines_can)(const convolution_args *s) {
    return FN(tiles_can)(s) && s->axes == 2 && s->out[0] > 0 && s->out[1] >= 16;
}

static double FN(lines_cost)(const convolution_args *s) {
    const FN(lines) d = FN(lines_of)(s);
    const double lines = (double)(s->n * d.bands * d.e.in_group * d.lines * MIN(s->stride[1], d.halves));
    return FN(tiled_cost)(d.e.out_group, s->n * d.e.out, d.k, 0, 0.15) + lines * (double)d.length * 1.5;
}

static int FN(lines_pay)(const convolution_args *s) {
    if (!FN(lines_can)(s) || s->kernel[1] == 1) return 0;
    const FN(extent) e = FN(extent_of)(s);
    if (e.depth < 16 || e.out_group < 8) return 0;
    const double gathered = FN(tiled_cost)(e.out_group, s->n * e.out, e.depth, 0, FN(gather_cost)(s, &e));
    return FN(lines_cost)(s) < MIN(gathered, FN(vectors_cost)(s, &e));
}

#else
static int FN(lines_can)(const convolution_args *s) { return (void)s, 0; }
static int FN(lines_pay)(const convolution_args *s) { return (void)s, 0; }
static int64_t FN(lines_size)(const convolution_args *s) { return (void)s, 0; }
static void FN(lines_pack)(const convolution_args *s, void *packed) { (void)s, (void)packed; }
static void FN(lines_convolve)(const convolution_args *s) { (void)s; }
#endif
