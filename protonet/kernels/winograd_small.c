/* Convolution of a few small planes by F(2×2, 3×3) of Winograd (Lavin and Gray 2016): 2×2 outputs from 16
 * products where the sum takes 36. With so few tiles reading the filters takes longest, and F(4×4) has
 * 36 values of each for these 16. */

#define SMALL_EDGE 8  /* of a plane of outputs, at most */
#define SMALL_TILES 16 /* of an image */
#define SMALL_POINTS 16

typedef struct {
    const convolution_args *s;
    int64_t in, out, outs;  /* channels of a group; outputs in whole vectors */
    int64_t down, across;   /* tiles of an image */
    int64_t tiles, breadth; /* of all images; in whole vectors */
} FN(small);

static FN(small) FN(small_of)(const convolution_args *s) {
    FN(small) d = {.s = s, .in = s->channels / s->group, .out = s->outputs / s->group,
                   .down = (s->out[0] + 1) / 2, .across = (s->out[1] + 1) / 2};
    d.outs = FN(vectors_across)(d.out);
    d.tiles = s->n * d.down * d.across;
    d.breadth = (d.tiles + LANES - 1) / LANES * LANES;
    return d;
}

INLINE int64_t FN(small_input_step)(const FN(small) *d) { return d->in * d->breadth + LANES; }
INLINE int64_t FN(small_sums_step)(const FN(small) *d) { return d->tiles * d->outs + LANES; }

/* ---- filters -------------------------------------------------------------------------------- */

INLINE void FN(small_filter_points)(const VEC *g, int step, VEC *u, int u_step) {
    const VEC ends = (real)0.5 * (g[0] + g[2 * step]), middle = (real)0.5 * g[step];
    u[0] = g[0];
    u[u_step] = ends + middle;
    u[2 * u_step] = ends - middle;
    u[3 * u_step] = g[2 * step];
}

static int64_t FN(small_group_size)(const FN(small) *d) {
    return SMALL_POINTS * FN(filters_step)(d->out, d->in);
}

static int64_t FN(small_size)(const convolution_args *s) { /* bytes of all groups' filters */
    const FN(small) d = FN(small_of)(s);
    return (int64_t)sizeof(real) * s->group * FN(small_group_size)(&d);
}

static void FN(small_pack)(const convolution_args *s, real *packed) {
    const FN(small) d = FN(small_of)(s);
    const int64_t step = FN(filters_step)(d.out, d.in);
    for (int64_t g = 0; g < s->group; g++, packed += FN(small_group_size)(&d)) {
        const FN(winograd_source) f = FN(winograd_source_of)(s, 0, g);
        PARALLEL_FOR(d.in * d.out * SMALL_POINTS)
        for (int64_t o = 0; o < d.out; o += LANES) {
            const int64_t panel = o / TILE_COLUMNS * TILE_COLUMNS;
            const int64_t width = MIN(TILE_COLUMNS, d.outs - panel);
            real *to = packed + panel * d.in + o % TILE_COLUMNS;
            for (int64_t i = 0; i < d.in; i++, to += width) {
                VEC taps[9], columns[12], u[SMALL_POINTS];
                FN(filter_taps)(3, &f, o, MIN(LANES, d.out - o), i, taps);
                for (int c = 0; c < 3; c++) FN(small_filter_points)(taps + c, 3, columns + c, 3);
                for (int r = 0; r < 4; r++) FN(small_filter_points)(columns + 3 * r, 1, u + 4 * r, 1);
                for (int p = 0; p < SMALL_POINTS; p++) *(VEC *)(to + p * step) = u[p];
            }
        }
    }
}

/* ---- tiles ---------------------------------------------------------------------------------- */

INLINE void FN(small_input_points)(VEC *d, int step) {
    const VEC d1 = d[step], d2 = d[2 * step];
    d[0] -= d2;
    d[step] = d1 + d2;
    d[2 * step] = d2 - d1;
    d[3 * step] = d1 - d[3 * step];
}

/* The tiles of one channel, all images', transformed; x is the channel's plane in the first image. */
static void FN(small_input)(const FN(small) *d, const real *x, int64_t x_image, real *to) {
    const convolution_args *s = d->s;
    const int64_t pitch = 2 * d->across + 2, rows = 2 * d->down + 2, width = s->size[1];
    const int64_t step = FN(small_input_step)(d), each = d->down * d->across;
    real taken[SMALL_POINTS][SMALL_TILES + VECTOR_LANES] = {{0}};
    for (int64_t image = 0; image < s->n; image++, x += x_image, to += each) {
        real padded[(SMALL_EDGE + 2) * (SMALL_EDGE + 2)] = {0};
        for (int64_t r = 0; r < rows; r++) {
            const int64_t from = r - s->pad[0];
            if (from >= 0 && from < s->size[0])
                FN(lay_row)(x + from * width, width, -s->pad[1], 1, padded + r * pitch, pitch);
        }
        for (int64_t down = 0, tile = 0; down < d->down; down++)
            for (int64_t across = 0; across < d->across; across++, tile++)
                for (int p = 0; p < SMALL_POINTS; p++)
                    taken[p][tile] = padded[(2 * down + p / 4) * pitch + 2 * across + p % 4];
        for (int64_t tile = 0; tile < each; tile += LANES) {
            VEC v[SMALL_POINTS];
            for (int p = 0; p < SMALL_POINTS; p++) v[p] = *(const VEC *)&taken[p][tile];
            for (int c = 0; c < 4; c++) FN(small_input_points)(v + c, 4);
            for (int r = 0; r < 4; r++) FN(small_input_points)(v + 4 * r, 1);
            for (int p = 0; p < SMALL_POINTS; p++)
                FN(store_some)(to + p * step + tile, v[p], MIN(LANES, each - tile));
        }
    }
}

/* ---- outputs -------------------------------------------------------------------------------- */

INLINE void FN(small_output_points)(VEC *m, int step) {
    m[0] += m[step] + m[2 * step];
    m[step] -= m[2 * step] + m[3 * step];
}

/* A vector of outputs from o on of one image, transformed back and stored from element `at` of y on. */
static void FN(small_output)(const FN(small) *d, const FN(finish) *finish, const real *bias, int64_t o,
                             const real *sums, int64_t at, real *y) {
    const int64_t some = MIN(LANES, d->out - o), step = FN(small_sums_step)(d);
    const int64_t height = d->s->out[0], width = d->s->out[1], plane = height * width;
    const VEC slopes = FN(slopes_across)(finish, o, some);
    const VEC start = bias ? FN(load_some)(bias + o, some) : (VEC){0};
    VEC pixels[SMALL_EDGE * SMALL_EDGE + VECTOR_LANES];
    for (int64_t down = 0; down < d->down; down++)
        for (int64_t across = 0; across < d->across; across++, sums += d->outs) {
            VEC m[SMALL_POINTS];
            for (int p = 0; p < SMALL_POINTS; p++) m[p] = *(const VEC *)(sums + p * step);
            for (int c = 0; c < 4; c++) FN(small_output_points)(m + c, 4);
            for (int r = 0; r < 2; r++) FN(small_output_points)(m + 4 * r, 1);
            for (int64_t r = 0; r < MIN(2, height - 2 * down); r++)
                for (int64_t c = 0; c < MIN(2, width - 2 * across); c++)
                    pixels[(2 * down + r) * width + 2 * across + c] = m[4 * r + c] + start;
        }
    for (int64_t first = 0; first < plane; first += LANES)
        FN(store_across)(finish, slopes, pixels + first, MIN(LANES, plane - first), some, plane,
                         at + o * plane + first, y);
}

/* ---- the convolution ------------------------------------------------------------------------ */

static void FN(small_convolve)(const convolution_args *s, const real *packed) {
    const FN(small) d = FN(small_of)(s);
    const int64_t size = s->size[0] * s->size[1], plane = s->out[0] * s->out[1];
    const int64_t x_image = s->x_image ? s->x_image : s->channels * size;
    const int64_t y_image = s->y_image ? s->y_image : s->outputs * plane;
    const int64_t input_step = FN(small_input_step)(&d), sums_step = FN(small_sums_step)(&d);
    real *input = workspace(WORKSPACE_COLUMNS, sizeof(real) * SMALL_POINTS *
                                                   (size_t)(input_step + sums_step));
    real *sums = input + SMALL_POINTS * input_step;
    const FN(point_product) p = {d.in, d.breadth, d.outs, 0};
    for (int64_t g = 0; g < s->group; g++, packed += FN(small_group_size)(&d)) {
        const real *x = (const real *)s->x + g * d.in * size;
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t i = 0; i < d.in; i++)
            FN(small_input)(&d, x + i * size, x_image, input + i * d.breadth);
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t point = 0; point < SMALL_POINTS; point++)
            FN(multiply_panels)(&p, 0, d.tiles, 0, d.outs, input + point * input_step,
                                packed + point * FN(filters_step)(d.out, d.in),
                                FN(filters_bytes)(SMALL_POINTS, d.in, d.out) > WINOGRAD_NEAR,
                                sums + point * sums_step);
        const int64_t at = g * d.out * plane, vectors = d.outs / LANES;
        const FN(finish) finish = FN(group_finish)(s, g * d.out, at);
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t job = 0; job < vectors * s->n; job++) {
            const int64_t image = job / vectors, o = job % vectors * LANES;
            FN(small_output)(&d, &finish, s->bias ? (const real *)s->bias + g * d.out : NULL, o,
                             sums + image * d.down * d.across * d.outs + o, image * y_image,
                             (real *)s->y + at);
        }
    }
}

static int FN(small_can)(const convolution_args *s) {
    return FN(winograd_can)(s, s->channels / s->group, s->outputs / s->group) &&
           s->kernel[0] == 3 && !s->pool && s->out[0] <= SMALL_EDGE && s->out[1] <= SMALL_EDGE;
}

/* Of filters that seldom lie in cache. */
static int FN(small_pays)(const convolution_args *s) {
    const int64_t in = s->channels / s->group, out = s->outputs / s->group;
    if (!FN(small_can)(s) || !s->packed) return 0;
    const FN(small) d = FN(small_of)(s);
    return in * out >= 8192 * d.tiles && d.tiles >= 4;
}
