/* The gradient of the filters by Winograd's transforms: the products of winograd.c the other way round.
 * Tiles of x and of dy are transformed, and multiplied over all tiles for each point. */

INLINE void FN(gradient_tile)(int taps, const real *lines, int64_t size, int64_t pitch,
                              const FN(tiles_place) *to) {
    const int edge = FN(tile_edge)(taps);
    VEC e[16], half[32], u[8];
    (void)pitch;
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) e[i] = *(const VEC *)(lines + i * size);
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) FN(gradient_points)(taps, e + c, 4, half + c, 4);
#pragma GCC unroll 8
    for (int r = 0; r < edge; r++) {
        FN(gradient_points)(taps, half + 4 * r, 1, u, 1);
        FN(put_points)(to, edge * r, edge, u);
    }
}

/* The 4×4 tiles of one channel of dy in a block, transformed. */
static void FN(winograd_gradient)(const FN(winograd) *w, int64_t first, int64_t rows,
                                  int64_t channel, FN(points_place) place) {
    const int64_t size = w->out_height * w->out_width;
    const FN(planes) planes = {w->y + channel * size, w->y_image, w->out_width, size, w->out_height,
                               w->out_width, 0, 0, 1};
    WITH_TAPS(w->taps, FN(transform_tiles)(TAPS, w, &planes, 0, FN(gradient_tile), first, rows, place));
}

/* `count` filters, `step` apart, += the sums of their points, which are `size` apart, transformed
 * back. */
INLINE void FN(add_taps)(int taps, const real *sums, int64_t size, int64_t count, real *filters,
                         int64_t step) {
    const int all = taps * taps, edge = FN(tile_edge)(taps);
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t some = MIN(LANES, count - i);
        real *to = filters + i * step, found[MOST_TAPS * MOST_TAPS][LANES];
        VEC m[MOST_POINTS], half[8 * MOST_TAPS], g[MOST_TAPS];
        for (int point = 0; point < edge * edge; point++)
            m[point] = *(const VEC *)(sums + point * size + i);
        for (int c = 0; c < edge; c++) FN(tap_points)(taps, m + c, edge, half + c, edge);
        for (int r = 0; r < taps; r++) {
            FN(tap_points)(taps, half + edge * r, 1, g, 1);
            for (int c = 0; c < taps; c++) *(VEC *)found[taps * r + c] = g[c];
        }
        for (int64_t lane = 0; lane < some; lane++)
            for (int tap = 0; tap < all; tap++) to[lane * step + tap] += found[tap][lane];
    }
}

/* All filters += theirs; a point's sums are rows × columns, filters of a row `step` apart. */
static void FN(winograd_taps)(int taps, const real *sums, int64_t rows, int64_t columns,
                              real *dweight, int64_t row_step, int64_t step) {
    const int64_t size = rows * columns;
    PARALLEL_FOR(size * FN(tile_size)(taps))
    for (int64_t row = 0; row < rows; row++)
        WITH_TAPS(taps, FN(add_taps)(TAPS, sums + row * columns, size, columns, dweight + row * row_step,
                                     step));
}

/* What blocks of a product of so many rows and columns hold. */
INLINE int64_t FN(padded_area)(int64_t rows, int64_t columns) {
    return FN(padded_rows)(rows) * FN(panels_of)(columns) * TILE_COLUMNS;
}

#define WINOGRAD_GRADIENT_TILES 256
#define WINOGRAD_GRADIENT_BYTES (3 << 20) /* of them, transformed */
#define WINOGRAD_MOST_SUMS (16 << 20)

/* The products of a gradient: of `height` channels' values (left) and `breadth` other channels' (above),
 * `width` values of each for each point, of which the first `some` are tiles. */
typedef struct {
    const real *left, *above;
    int64_t points, height, breadth, width, some;
} FN(gradient_sums);

/* sums = (or +=) one point's, for `rows` channels from r on and `columns` others from c on. */
static void FN(gradient_product)(const FN(gradient_sums) *g, int64_t point, int64_t r, int64_t rows,
                                 int64_t c, int64_t columns, real beta, real *sums) {
    FN(strided) right = {g->above + (point * g->breadth + c) * g->width, 1, g->width};
    FN(product) p = {.a = g->left + (point * g->height + r) * g->width, .a_row = g->width,
                     .a_column = 1, .b = &right, .pack_b = FN(pack_strided), .c = sums, .m = rows,
                     .n = columns, .k = g->some, .c_row = columns, .beta = beta};
    FN(product_alone)(&p);
}

/* Filters of all tiles at once, a part of the channels after the other, so that sums stay in cache. */
#define GRADIENT_ROWS (64 / TILE_ROWS * TILE_ROWS)
#define GRADIENT_COLUMNS ((64 + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS)
#define PARTED_SUMS (12 << 20) /* of sums that are better kept in parts */
static void FN(gradient_by_parts)(int taps, const FN(gradient_sums) *g, real *dweight,
                                  int64_t row_step, int64_t step) {
    const int64_t down = (g->height + GRADIENT_ROWS - 1) / GRADIENT_ROWS;
    const int64_t across = (g->breadth + GRADIENT_COLUMNS - 1) / GRADIENT_COLUMNS;
    PARALLEL_FOR(PARALLEL_FROM)
    for (int64_t job = 0; job < down * across; job++) {
        const int64_t r = job / across * GRADIENT_ROWS, c = job % across * GRADIENT_COLUMNS;
        const int64_t rows = MIN(GRADIENT_ROWS, g->height - r);
        const int64_t columns = MIN(GRADIENT_COLUMNS, g->breadth - c);
        const int64_t size = rows * columns + LANES;
        real *sums = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)((g->points + 1) * size));
        for (int64_t point = 0; point < g->points; point++)
            FN(gradient_product)(g, point, r, rows, c, columns, 0, sums + point * size);
        for (int64_t row = 0; row < rows; row++) {
            const real *from = sums + row * columns;
            real *to = dweight + (r + row) * row_step + c * step;
            WITH_TAPS(taps, FN(add_taps)(TAPS, from, size, columns, to, step));
        }
    }
}

static void FN(winograd_weight_blocks)(FN(winograd) *w, real *dweight) {
    const int64_t all = w->n * w->down, count = w->points * w->out * w->in;
    const int64_t most = MIN(WINOGRAD_GRADIENT_TILES, WINOGRAD_GRADIENT_BYTES / FN(tile_bytes)(w));
    FN(winograd_choose)(w, all, MAX(4 * TILE_COLUMNS, most), TILE_COLUMNS);
    const int64_t width = w->breadth; /* tiles of a block, with some that are not */
    real *tiles = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)(w->points * width *
                                                                       (w->in + w->out)));
    real *errors = tiles + w->points * width * w->in;
    /* A point's sums are out × in, or in × out if that fills the product's blocks better. */
    const int turned = FN(padded_area)(w->in, w->out) < FN(padded_area)(w->out, w->in);
    const int64_t all_taps = w->taps * w->taps, row = w->in * all_taps;
    const int64_t row_step = turned ? all_taps : row, step = turned ? row : all_taps;
    FN(gradient_sums) g = {turned ? tiles : errors, turned ? errors : tiles, w->points,
                           turned ? w->in : w->out, turned ? w->out : w->in, width, 0};
    const int at_once = w->rows >= all && (int64_t)sizeof(real) * count >= PARTED_SUMS;
    real *sums = at_once ? NULL : workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)(count + LANES));
    for (int64_t first = 0; first < all; first += w->rows) {
        const int64_t rows = MIN(w->rows, all - first);
        g.some = rows * w->across;
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t c = 0; c < w->in + w->out; c++) {
            const int64_t o = c - w->in;
            if (c < w->in)
                FN(winograd_input)(w, first, rows, c, (FN(points_place)){
                    tiles + c * width, w->in * width, width});
            else
                FN(winograd_gradient)(w, first, rows, o, (FN(points_place)){
                    errors + o * width, w->out * width, width});
        }
        if (at_once) {
            FN(gradient_by_parts)(w->taps, &g, dweight, row_step, step);
            return;
        }
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t point = 0; point < w->points; point++)
            FN(gradient_product)(&g, point, 0, g.height, 0, g.breadth, first > 0,
                                 sums + point * g.height * g.breadth);
    }
    FN(winograd_taps)(w->taps, sums, g.height, g.breadth, dweight, row_step, step);
}

/* `count` filters += what their phases have. */
static void FN(gather_phases)(const real *phases, int64_t taps, int64_t count, int64_t kernel,
                              int64_t stride, real *filters) {
    const int64_t all = taps * taps;
    PARALLEL_FOR(count * kernel * kernel * 4)
    for (int64_t i = 0; i < count; i++) {
        const real *from = phases + i * stride * stride * all;
        real *to = filters + i * kernel * kernel;
        for (int64_t row = 0; row < kernel; row++)
            for (int64_t column = 0; column < kernel; column++) {
                const int64_t phase = row % stride * stride + column % stride;
                *to++ += from[phase * all + row / stride * taps + column / stride];
            }
    }
}

/* dweight += the filters' gradient. */
static void FN(winograd_weight)(const convolution_args *s, const real *dy, real *dweight) {
    const int64_t channels = s->channels / s->group, out = s->outputs / s->group;
    const int64_t size = s->size[0] * s->size[1], out_size = s->out[0] * s->out[1];
    const int64_t in = channels * FN(phases_in)(s), kernel = s->kernel[0];
    const int taps = FN(edge_taps)(s);
    for (int64_t g = 0; g < s->group; g++, dweight += channels * out * kernel * kernel) {
        real *sum = dweight;
        if (s->stride[0] > 1) {
            const size_t bytes = sizeof(real) * (size_t)(in * out * taps * taps);
            sum = workspace(WORKSPACE_RESULT, bytes);
            memset(sum, 0, bytes);
        }
        FN(winograd) w = {.taps = taps, .points = FN(tile_size)(taps),
                          .stride = s->stride[0], .x = (const real *)s->x + g * channels * size,
                          .y = (real *)dy + g * out * out_size, .n = s->n, .in = in, .out = out,
                          .x_image = s->channels * size, .y_image = s->outputs * out_size,
                          .height = s->size[0], .width = s->size[1],
                          .seen_height = FN(reached)(s, 0), .seen_width = FN(reached)(s, 1),
                          .out_height = s->out[0], .out_width = s->out[1], .top = s->pad[0], .left = s->pad[1],
                          .down = (s->out[0] + 3) / 4, .across = (s->out[1] + 3) / 4};
        FN(winograd_weight_blocks)(&w, sum);
        if (s->stride[0] > 1) FN(gather_phases)(sum, taps, out * channels, kernel, s->stride[0], dweight);
    }
}
