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

/* Weight [o, i, tap] is at o o_step + i i_step + tap, or as far from the last tap if turned round. */
typedef struct { const real *weight, *end; int64_t o_step, i_step; int turned; } FN(winograd_source);

/* Each tap's weights of a vector of outputs, of which there are `some`, from output o on and of input i. */
INLINE void FN(filter_taps)(int taps, const FN(winograd_source) *f, int64_t o, int64_t some, int64_t i,
                            VEC *g) {
    const int all = taps * taps;
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
    if (taps == 3)
        FN(transform_inputs)(3, f, o, some, i, end, to, step, width);
    else
        FN(transform_inputs)(5, f, o, some, i, end, to, step, width);
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
