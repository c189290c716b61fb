/* Convolution by F(4×4, 3×3), F(4×4, 4×4) and F(4×4, 5×5) of Winograd (Lavin and Gray 2016): 4×4 outputs
 * from 36 products where the sum takes 144, from 49 where it takes 256, or from 64 where it takes 400;
 * likewise of filters that step, such as an image's first ones, 7×7 by 2 or 11×11 by 4. Filters, then
 * tiles of the input (6×6 to 8×8), are transformed; for each point of a tile a matrix product over the
 * channels follows; their results are transformed back. In float32 the largest error, against the
 * outputs' scale, is some ten times that of the sum (below 1e-5). */

/* A block's tiles share each read of the filters; transformed, they and the sums stay near the core. */
#define WINOGRAD_BYTES (2 << 20)
#define WINOGRAD_TILES 128
#define WINOGRAD_NEAR (512 << 10)  /* of filters that the first caches may still have */
#define WINOGRAD_FAR (16 << 20)    /* of filters that none has, so that more tiles should share them */
#define WINOGRAD_FEW 4             /* tiles that take about as long as half of them */
#define WINOGRAD_MOST (256 << 20)  /* of a row of tiles, which are transformed together */
#define WINOGRAD_CHUNK (256 << 10) /* of filters that are transformed as they are used */

/* ---- products ------------------------------------------------------------------------------- */

/* Elements from one point's values to the next one's, of a block's input and of its sums; strides of
 * powers of two would put all points into a few sets of the caches. */
INLINE int64_t FN(input_step)(const FN(winograd) *w) { return w->in * w->breadth + LANES; }
INLINE int64_t FN(sums_step)(const FN(winograd) *w) {
    return w->rows * w->across * FN(vectors_across)(w->out) + LANES;
}

INLINE int64_t FN(filters_bytes)(int64_t points, int64_t in, int64_t out) {
    return points * in * out * (int64_t)sizeof(real);
}

/* One point's product over the channels, for tiles t0 … t1 - 1 of a block and outputs o0 … o1 - 1. */
static void FN(winograd_product)(const FN(winograd) *w, int64_t point, int64_t t0, int64_t t1,
                                 int64_t o0, int64_t o1, const real *input, real *sums) {
    const FN(point_product) p = {w->in, w->breadth, FN(vectors_across)(w->out), 0};
    FN(multiply_panels)(&p, t0, t1, o0, o1, input + point * FN(input_step)(w),
                        w->filters + point * FN(filters_step)(w->out, w->in),
                        FN(filters_bytes)(w->points, w->in, w->out) > WINOGRAD_NEAR, sums + point * FN(sums_step)(w));
}

/* All points' products for outputs first … end - 1, whose filters are transformed some channels at a
 * time, and stay in cache. */
static void FN(winograd_products)(const FN(winograd) *w, int64_t first, int64_t end, int64_t t0,
                                  int64_t t1, const real *input, real *sums) {
    const int64_t most = WINOGRAD_CHUNK / (w->points * TILE_COLUMNS * (int64_t)sizeof(real));
    const int64_t chunks = (w->in + most - 1) / most, depth = (w->in + chunks - 1) / chunks;
    const int64_t step = depth * TILE_COLUMNS + LANES;
    real *filters = workspace(WORKSPACE_PACK_A, sizeof(real) * (size_t)(w->points * step));
    for (int64_t o = first; o < end; o += TILE_COLUMNS)
        for (int64_t i = 0; i < w->in; i += depth) {
            const int64_t width = MIN(TILE_COLUMNS, end - o), stop = MIN(w->in, i + depth);
            for (int64_t at = 0; at < width; at += LANES)
                FN(transform_filters)(w->taps, &w->source, o + at, MIN(LANES, w->out - o - at), i, stop,
                                      filters + at, step, width);
            const FN(point_product) p = {stop - i, w->breadth, FN(vectors_across)(w->out), i > 0};
            for (int64_t point = 0; point < w->points; point++)
                FN(multiply_panel)(&p, t0, t1, width,
                                   input + point * FN(input_step)(w) + i * w->breadth,
                                   filters + point * step, sums + point * FN(sums_step)(w) + o);
        }
}

/* ---- outputs -------------------------------------------------------------------------------- */

#define GROUP (LANES >= 4 ? LANES / 4 : 1) /* tiles whose rows of four outputs fill a vector */

/* The greatest of each 2×2 outputs of two rows, in place of the first; NaN gives way to anything. */
INLINE void FN(greatest_of_four)(VEC *row, const VEC *below, int64_t pairs) {
    for (int64_t i = 0; i < pairs; i++) {
        VEC best = (VEC){0} - REAL_MAX;
        const VEC four[4] = {row[2 * i], row[2 * i + 1], below[2 * i], below[2 * i + 1]};
        for (int k = 0; k < 4; k++)
            best = FN(chosen)((FN(lanes))(four[k] > best), four[k], best);
        row[i] = best;
    }
}

/* `count` tiles that are neighbours in a row of them, their sums a tile apart: to rows[r], four
 * outputs of each. */
INLINE void FN(output_rows)(int taps, const FN(winograd) *w, const real *sums, int64_t count, VEC bias,
                            int rectify, VEC rows[4][4 * GROUP]) {
    const int edge = FN(tile_edge)(taps);
    const int64_t step = FN(sums_step)(w), outs = FN(vectors_across)(w->out);
    for (int64_t tile = 0; tile < count; tile++, sums += outs) {
        VEC m[MOST_POINTS];
#pragma GCC unroll 8
        for (int c = 0; c < edge; c++) {
#pragma GCC unroll 8
            for (int r = 0; r < edge; r++) m[edge * r + c] = *(const VEC *)(sums + (edge * r + c) * step);
            FN(output_points)(taps, m + c, edge);
        }
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) {
            FN(output_points)(taps, m + edge * r, 1);
#pragma GCC unroll 4
            for (int c = 0; c < 4; c++) {
                const VEC value = m[edge * r + c] + bias;
                rows[r][4 * tile + c] = rectify ? FN(rectified)(value) : value;
            }
        }
    }
}

/* A vector of outputs from o on of a row of a block's tiles, its tiles tile … end - 1, transformed back
 * and stored. */
INLINE void FN(output_tiles)(int taps, const FN(winograd) *w, int64_t first, int64_t row, int64_t tile,
                             int64_t end, int64_t o, const real *sums) {
    const int64_t some = MIN(LANES, w->out - o), outs = FN(vectors_across)(w->out);
    const int64_t image = (first + row) / w->down, top = (first + row) % w->down * 4;
    const int64_t halved = w->pool != 0, step = 1 + halved;
    const int64_t height = w->out_height >> halved, width = w->out_width >> halved;
    const int rectify = w->finish.what == RECTIFY && !w->finish.residual && !w->pool;
    FN(finish) finish = w->finish;
    if (rectify) finish.what = PLAIN; /* by then it is done */
    const VEC bias = w->bias ? FN(load_some)(w->bias + o, some) : (VEC){0};
    const VEC slopes = FN(slopes_across)(&w->finish, o, some);
    for (; tile < end; tile += GROUP) {
        const int64_t count = MIN(GROUP, end - tile);
        const int64_t columns = MIN(4 * count, w->out_width - 4 * tile) >> halved;
        VEC rows[4][4 * GROUP];
        FN(output_rows)(taps, w, sums + (row * w->across + tile) * outs + o, count, bias, rectify, rows);
        for (int64_t r = 0; r < MIN(4, w->out_height - top); r += step) {
            if (w->pool) FN(greatest_of_four)(rows[r], rows[r + 1], columns);
            FN(store_across)(&finish, slopes, rows[r], columns, some, height * width,
                             image * w->y_image + (o * height + ((top + r) >> halved)) * width +
                                 (4 * tile >> halved), w->y);
        }
    }
}

/* Of a block that begins with row `first`: its row of tiles `row`, as far as they are among t0 … t1 - 1. */
static void FN(winograd_output)(const FN(winograd) *w, int64_t first, int64_t row, int64_t t0, int64_t t1,
                                int64_t o, const real *sums) {
    const int64_t tile = MAX(0, t0 - row * w->across), end = MIN(w->across, t1 - row * w->across);
    WITH_TAPS(w->taps, FN(output_tiles)(TAPS, w, first, row, tile, end, o, sums));
}
#undef GROUP

/* ---- the convolution ------------------------------------------------------------------------ */

/* Elements of a block's input. */
INLINE int64_t FN(input_size)(const FN(winograd) *w) { return w->points * FN(input_step)(w); }

static void FN(winograd_rows)(FN(winograd) *w, int64_t rows) {
    w->rows = rows;
    w->breadth = (rows * w->across + LANES - 1) / LANES * LANES;
}

INLINE int64_t FN(tile_bytes)(const FN(winograd) *w) {
    return w->points * (w->in + w->out) * (int64_t)sizeof(real);
}

/* The rows of tiles of a block, of at most so many tiles, that take least time, if a register block takes
 * `fill` tiles: each reading of the filters takes as long as some tiles do. */
static void FN(winograd_choose)(FN(winograd) *w, int64_t all, int64_t most, int64_t fill) {
    double least = 0;
    for (int64_t rows = 1; rows <= all && (rows == 1 || rows * w->across <= most); rows++) {
        const int64_t some = rows * w->across, blocks = (all + rows - 1) / rows;
        const double turns = (double)((some + fill - 1) / fill);
        const double cost = (double)blocks * ((double)some + turns + 8);
        if (rows > 1 && cost >= least) continue;
        least = cost;
        FN(winograd_rows)(w, rows);
    }
}

/* Where a channel's tiles go. */
INLINE FN(points_place) FN(channel_tiles)(const FN(winograd) *w, real *input, int64_t channel) {
    return (FN(points_place)){input + channel * w->breadth, FN(input_step)(w), w->breadth};
}

/* Elements of a block's input and sums. */
INLINE int64_t FN(block_size)(const FN(winograd) *w) {
    return FN(input_size)(w) + w->points * FN(sums_step)(w);
}

/* Tiles t0 … t1 - 1 of all, block by block, for outputs o0 … o1 - 1 (whole panels), on this thread. */
static void FN(winograd_tiles)(const FN(winograd) *w, int64_t t0, int64_t t1, int64_t o0, int64_t o1) {
    if (t0 == t1 || o0 >= o1) return;
    real *input = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)FN(block_size)(w));
    real *sums = input + FN(input_size)(w);
    const int64_t all = (t1 + w->across - 1) / w->across;
    for (int64_t first = t0 / w->across, rows; first < all; first += rows) {
        rows = MIN(w->rows, all - first);
        const int64_t from = MAX(0, t0 - first * w->across);
        const int64_t end = MIN(rows * w->across, t1 - first * w->across);
        for (int64_t i = 0; i < w->in; i++)
            FN(winograd_input)(w, first, rows, i, FN(channel_tiles)(w, input, i));
        if (!w->filters)
            FN(winograd_products)(w, o0, o1, from, end, input, sums);
        else
            for (int64_t p = 0; p < w->points; p++)
                FN(winograd_product)(w, p, from, end, o0, o1, input, sums);
        for (int64_t o = o0; o < MIN(o1, w->out); o += LANES)
            for (int64_t row = 0; row < rows; row++)
                FN(winograd_output)(w, first, row, from, end, o, sums);
    }
}

/* All tiles, block by block, each of which the team shares. */
static void FN(winograd_shared)(const FN(winograd) *w) {
    const int64_t all = w->n * w->down, vectors = (w->out + LANES - 1) / LANES;
    real *input = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)FN(block_size)(w));
    real *sums = input + FN(input_size)(w);
    for (int64_t first = 0; first < all; first += w->rows) {
        const int64_t rows = MIN(w->rows, all - first), tiles = rows * w->across;
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t i = 0; i < w->in; i++)
            FN(winograd_input)(w, first, rows, i, FN(channel_tiles)(w, input, i));
        const int64_t jobs = w->filters ? w->points : MIN(vectors, (int64_t)threads_count());
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t job = 0; job < jobs; job++)
            if (w->filters)
                FN(winograd_product)(w, job, 0, tiles, 0, vectors * LANES, input, sums);
            else
                FN(winograd_products)(w, vectors * job / jobs * LANES, vectors * (job + 1) / jobs * LANES,
                                      0, tiles, input, sums);
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t job = 0; job < vectors * rows; job++)
            FN(winograd_output)(w, first, job % rows, 0, tiles, job / rows * LANES, sums);
    }
}

/* Whether the filters are so much more than the tiles that reading them takes long: they are not read
 * by every thread, and transformed as they are used rather than beforehand. As measured. */
INLINE int FN(filters_prevail)(int64_t in, int64_t out, int64_t tiles) {
    return in * out > 2200 * tiles;
}

/* The tiles of a block, at most. */
INLINE int64_t FN(block_tiles)(const FN(winograd) *w) {
    const int64_t filters = FN(filters_bytes)(w->points, w->in, w->out);
    const int64_t least = (filters > WINOGRAD_FAR ? 4 : 2) * TILE_ROWS;
    return MAX(least, MIN(WINOGRAD_TILES, WINOGRAD_BYTES / FN(tile_bytes)(w)));
}

/* The team shares the outputs, if tiles are few: each thread transforms all of them; or the tiles, which
 * takes all filters to each thread; or every block, which takes what is transformed from one to
 * another. */
static void FN(winograd_blocks)(FN(winograd) *w) {
    const int64_t all = w->n * w->down, tiles = all * w->across, team = threads_count();
    const int64_t outs = FN(vectors_across)(w->out), panels = (outs + TILE_COLUMNS - 1) / TILE_COLUMNS;
    if (team > 1 && tiles <= WINOGRAD_FEW && panels >= team) {
        FN(winograd_choose)(w, all, FN(block_tiles)(w), TILE_ROWS);
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t part = 0; part < team; part++)
            FN(winograd_tiles)(w, 0, tiles, panels * part / team * TILE_COLUMNS,
                               MIN(outs, panels * (part + 1) / team * TILE_COLUMNS));
        return;
    }
    if (team > 1 && FN(filters_prevail)(w->in, w->out, tiles)) {
        FN(winograd_choose)(w, all, FN(block_tiles)(w), TILE_ROWS);
        FN(winograd_shared)(w);
        return;
    }
    /* A row of tiles that two threads share is transformed by both. */
    FN(winograd_choose)(w, MIN(all, tiles / team / w->across + 1), FN(block_tiles)(w), TILE_ROWS);
    PARALLEL_FOR(PARALLEL_FROM)
    for (int64_t part = 0; part < team; part++)
        FN(winograd_tiles)(w, tiles * part / team, tiles * (part + 1) / team, 0, outs);
}

static int FN(winograd_can)(const convolution_args *s, int64_t in, int64_t out) {
    if (!REAL_IS_FLOAT || LANES < 4 || !FN(edge_taps)(s)) return 0;
    const int64_t depth = in * FN(phases_in)(s), points = FN(tile_size)(FN(edge_taps)(s));
    const double a_row = (double)(points * (depth + out)) * (double)((s->out[1] + 3) / 4) * sizeof(real);
    return s->n * s->out[0] * s->out[1] > 0 && depth >= 8 && out >= 16 && a_row < WINOGRAD_MOST;
}

/* The time of all images of a group, in multiply-adds of vectors, as measured. */
static double FN(winograd_cost)(const convolution_args *s, int64_t channels, int64_t out,
                                int64_t height, int64_t width) {
    const int64_t in = channels * FN(phases_in)(s);
    const double lanes = (double)LANES, both = (double)(in * out);
    const int64_t down = (height + 3) / 4, across = (width + 3) / 4, tiles = s->n * down * across;
    const int64_t inputs = s->n * ((down + 1) * (across + 1) + LANES - 1) / LANES;
    const int64_t columns = (tiles + LANES - 1) / LANES * LANES;
    const double points = FN(tile_size)(FN(edge_taps)(s));
    const double products = points * (double)(in * FN(vectors_across)(out) * tiles) / lanes / 0.9;
    const double tiling = points * (double)(14 * in * inputs + 11 * out * (columns / LANES));
    /* Reading or making them; phases have several times the weights, and are gathered one by one. */
    const double filters = points * both * (s->packed ? 1.0 / 9 : 1.5) * (s->stride[0] > 1 ? 4 : 1);
    /* Cores with AMX multiply and add two vectors in a cycle, but do not transform as fast. */
    return products + (s->tiles ? 2.5 : 1) * tiling + filters;
}

/* Whether it takes less time than a way that comes to `rival` of the FMA peak. */
static int FN(winograd_pays)(const convolution_args *s, int64_t in, int64_t out, int64_t height,
                             int64_t width, double rival) {
    if (!FN(winograd_can)(s, in, out)) return 0;
    const double taps = (double)(s->kernel[0] * s->kernel[1]), pixels = (double)(s->n * height * width);
    const double direct = taps * (double)(in * out) * pixels / (double)LANES / rival;
    return FN(winograd_cost)(s, in, out, height, width) < direct;
}

/* ---- groups ----------------------------------------------------------------------------------- */

/* Bytes of all groups' filters, transformed and packed. */
static int64_t FN(winograd_groups_size)(const convolution_args *s, int back) {
    const int64_t in = (back ? s->outputs : s->channels) / s->group * FN(phases_in)(s);
    const int64_t out = (back ? s->channels : s->outputs) / s->group;
    const int taps = FN(edge_taps)(s);
    return (int64_t)sizeof(real) * s->group * FN(winograd_filters_size)(taps, out, in);
}

/* Of group g, where they lie. */
static FN(winograd_source) FN(winograd_source_of)(const convolution_args *s, int back, int64_t g) {
    const int64_t in = (back ? s->outputs : s->channels) / s->group;
    const int64_t out = (back ? s->channels : s->outputs) / s->group;
    const int64_t all = s->kernel[0] * s->kernel[1];
    const real *weight = (const real *)s->weight + g * in * out * all;
    return (FN(winograd_source)){weight, weight + in * out * all, back ? all : in * all,
                                 back ? out * all : all, back, s->kernel[0], s->stride[0]};
}

static void FN(winograd_pack_groups)(const convolution_args *s, int back, real *filters) {
    const int64_t in = (back ? s->outputs : s->channels) / s->group * FN(phases_in)(s);
    const int64_t out = (back ? s->channels : s->outputs) / s->group;
    const int taps = FN(edge_taps)(s);
    for (int64_t g = 0; g < s->group; g++) {
        const FN(winograd_source) f = FN(winograd_source_of)(s, back, g);
        FN(winograd_filters)(taps, &f, out, in, filters + g * FN(winograd_filters_size)(taps, out, in));
    }
}

/* y = x convolved, group by group; or, turned round, dx from dy: then x and y are they. */
static void FN(winograd_convolve)(const convolution_args *s, int back, const real *x, real *y) {
    const int64_t inputs = back ? s->outputs : s->channels, channels = inputs / s->group;
    const int64_t in = channels * FN(phases_in)(s);
    const int64_t outputs = back ? s->channels : s->outputs, out = outputs / s->group;
    const int64_t *from = back ? s->out : s->size, *to = back ? s->size : s->out;
    const int64_t x_image = !back && s->x_image ? s->x_image : inputs * from[0] * from[1];
    const int64_t plane = to[0] * to[1] / (!back && s->pool ? 4 : 1);
    const int64_t y_image = !back && s->y_image ? s->y_image : outputs * plane;
    const int taps = FN(edge_taps)(s);
    const int64_t size = FN(winograd_filters_size)(taps, out, in);
    const int64_t tiles = s->n * ((to[0] + 3) / 4) * ((to[1] + 3) / 4);
    const real *filters = back ? NULL : s->packed;
    if (!filters && !FN(filters_prevail)(in, out, tiles)) {
        real *now = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)(s->group * size));
        FN(winograd_pack_groups)(s, back, now);
        filters = now;
    }
    for (int64_t g = 0; g < s->group; g++) {
        const int64_t at = g * out * plane;
        FN(winograd) w = {.taps = taps, .points = FN(tile_size)(taps), .stride = s->stride[0],
                          .x = x + g * channels * from[0] * from[1],
                          .bias = !back && s->bias ? (const real *)s->bias + g * out : NULL,
                          .filters = filters ? filters + g * size : NULL,
                          .source = FN(winograd_source_of)(s, back, g),
                          .y = y + at, .n = s->n, .in = in, .out = out, .x_image = x_image,
                          .y_image = y_image, .height = from[0], .width = from[1],
                          .seen_height = back ? from[0] : FN(reached)(s, 0),
                          .seen_width = back ? from[1] : FN(reached)(s, 1),
                          .out_height = to[0], .out_width = to[1],
                          .top = back ? taps - 1 - s->pad[0] : s->pad[0],
                          .left = back ? taps - 1 - s->pad[1] : s->pad[1],
                          .down = (to[0] + 3) / 4, .across = (to[1] + 3) / 4};
        if (!back) {
            w.finish = FN(group_finish)(s, g * out, at);
            w.pool = (int)s->pool;
        }
        FN(winograd_blocks)(&w);
    }
}
