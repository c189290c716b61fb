/* A filter that steps over the image is one that does not, over each of the `stride`² places within a
 * step, its phases: they count as channels, phase (p, q) of channel c as (c stride + p) stride + q, and
 * see the taps (stride i + p, stride j + q). */

#define LONGEST_STEP 4 /* phases take memory each */

/* Taps along an edge of such a filter; 0 where Winograd's transforms are not for it. */
static int FN(edge_taps)(const convolution_args *s) {
    if (s->axes != 2 || s->by_columns || s->stride[0] > LONGEST_STEP) return 0;
    for (int axis = 0; axis < 2; axis++)
        if (s->kernel[axis] != s->kernel[0] || s->stride[axis] != s->stride[0] || s->dilation[axis] != 1)
            return 0;
    const int64_t taps = (s->kernel[0] + s->stride[0] - 1) / s->stride[0];
    return taps >= 3 && taps <= MOST_TAPS ? (int)taps : 0;
}

/* Rows or columns of the input that the windows reach. */
INLINE int64_t FN(reached)(const convolution_args *s, int axis) {
    return MIN(s->size[axis], (s->out[axis] - 1) * s->stride[axis] + s->kernel[axis] - s->pad[axis]);
}

INLINE int64_t FN(phases_in)(const convolution_args *s) { return s->stride[0] * s->stride[0]; }

/* Filters as Winograd's convolutions take them: transformed, each point's a matrix in × out in panels of
 * TILE_COLUMNS outputs (the last one may be a vector wide), a panel's row of outputs after the other. */

/* Outputs, filled up to whole vectors. */
INLINE int64_t FN(vectors_across)(int64_t out) { return (out + LANES - 1) / LANES * LANES; }

/* Elements from one point's filters to the next one's: some more than they are, as strides of powers of
 * two would put all points into a few sets of the caches. */
INLINE int64_t FN(filters_step)(int64_t out, int64_t in) { return FN(vectors_across)(out) * in + LANES; }

static int64_t FN(winograd_filters_size)(int taps, int64_t out, int64_t in) {
    return FN(tile_size)(taps) * FN(filters_step)(out, in);
}

/* Weight [o, i, tap] is at o o_step + i i_step + tap, or as far from the last tap if turned round;
 * of filters that step, i is a channel, whose `kernel`² taps the phases share. */
typedef struct {
    const real *weight, *end;
    int64_t o_step, i_step;
    int turned;
    int64_t kernel, stride;
} FN(winograd_source);

/* Tap (u, v) of a phase among those of its channel; -1 if it is beyond them. */
INLINE int64_t FN(tap_of_phase)(int64_t kernel, int64_t stride, int64_t phase, int64_t u, int64_t v) {
    const int64_t row = u * stride + phase / stride, column = v * stride + phase % stride;
    return row < kernel && column < kernel ? row * kernel + column : -1;
}

/* Each tap's weights of a vector of outputs, of which there are `some`, from output o on and of input i. */
INLINE void FN(filter_taps)(int taps, const FN(winograd_source) *f, int64_t o, int64_t some, int64_t i,
                            VEC *g) {
    const int all = taps * taps;
    if (f->stride > 1) {
        const int64_t phases = f->stride * f->stride;
        const real *from = f->weight + o * f->o_step + i / phases * f->i_step;
        for (int tap = 0; tap < all; tap++) {
            const int64_t at = FN(tap_of_phase)(f->kernel, f->stride, i % phases, tap / taps, tap % taps);
            g[tap] = (VEC){0};
            for (int64_t r = 0; r < some && at >= 0; r++) g[tap][r] = from[r * f->o_step + at];
        }
        return;
    }
    const real *from = f->weight + o * f->o_step + i * f->i_step;
    real rows[(MOST_TAPS * MOST_TAPS + LANES - 1) / LANES * LANES][LANES];
    if (from + (some - 1) * f->o_step + (all + LANES - 1) / LANES * LANES <= f->end)
        for (int tap = 0; tap < all; tap += LANES)
            FN(transpose_rows)(from + tap, f->o_step, some, rows[tap], LANES);
    else
        for (int tap = 0; tap < all; tap++)
            for (int64_t r = 0; r < LANES; r++)
                rows[tap][r] = r < some ? from[r * f->o_step + tap] : 0;
    for (int tap = 0; tap < all; tap++) g[tap] = *(const VEC *)rows[f->turned ? all - 1 - tap : tap];
}

/* A vector of outputs' filters of inputs i … end - 1, transformed: a point's to to[p step], an input's
 * `width` on from the one before. */
INLINE void FN(transform_inputs)(int taps, const FN(winograd_source) *f, int64_t o, int64_t some,
                                 int64_t i, int64_t end, real *to, int64_t step, int64_t width) {
    const int edge = FN(tile_edge)(taps);
    for (; i < end; i++, to += width) {
        VEC g[MOST_TAPS * MOST_TAPS], columns[8 * MOST_TAPS], u[MOST_POINTS];
        FN(filter_taps)(taps, f, o, some, i, g);
        for (int c = 0; c < taps; c++) FN(filter_points)(taps, g + c, taps, columns + c, taps);
        for (int r = 0; r < edge; r++) FN(filter_points)(taps, columns + taps * r, 1, u + edge * r, 1);
        for (int point = 0; point < FN(tile_size)(taps); point++) *(VEC *)(to + point * step) = u[point];
    }
}

static void FN(transform_filters)(int taps, const FN(winograd_source) *f, int64_t o, int64_t some,
                                  int64_t i, int64_t end, real *to, int64_t step, int64_t width) {
    WITH_TAPS(taps, FN(transform_inputs)(TAPS, f, o, some, i, end, to, step, width));
}

static void FN(winograd_filters)(int taps, const FN(winograd_source) *f, int64_t out, int64_t in,
                                 real *packed) {
    const int64_t outs = FN(vectors_across)(out);
    PARALLEL_FOR(out * in * FN(tile_size)(taps))
    for (int64_t o = 0; o < out; o += LANES) {
        const int64_t panel = o / TILE_COLUMNS * TILE_COLUMNS;
        FN(transform_filters)(taps, f, o, MIN(LANES, out - o), 0, in,
                              packed + panel * in + o % TILE_COLUMNS, FN(filters_step)(out, in),
                              MIN(TILE_COLUMNS, outs - panel));
    }
}
