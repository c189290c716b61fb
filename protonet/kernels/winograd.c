/* Convolution by F(4×4, 3×3) of Winograd (Lavin and Gray 2016): 4×4 outputs from 36 products where
 * the sum takes 144. Filters, then 6×6 tiles of the input, are transformed; 36 matrix products over
 * the channels follow; their results are transformed back. In float32 the largest error, against
 * the outputs' scale, is some ten times that of the sum (below 1e-5).
 *
 * Tiles are counted along a row of tiles, row after row, image after image. A block is some whole
 * rows of tiles; what each tile becomes does not depend on the block it is in, nor on the team. */

#define WINOGRAD_POINTS 36
/* A block's tiles share each read of the filters; transformed, they and the sums stay in cache. */
#define WINOGRAD_BYTES (3 << 20)
#define WINOGRAD_TILES 128

typedef struct {
    const real *x, *bias, *filters; /* one group's; filters transformed and packed */
    real *y;                                /* the outputs, or dy, which is only read */
    int64_t n, in, out;                     /* images; channels of the group */
    int64_t x_image, y_image;               /* elements from one image to the next */
    int64_t height, width, out_height, out_width, top, left;
    int64_t down, across;                   /* rows of tiles of an image, tiles of a row */
    int64_t rows, panels;                   /* rows of tiles of a block, panels they fill */
    FN(finish) finish;                      /* at y */
    int pool;                               /* y holds the greatest of each 2×2 outputs */
} FN(winograd);

/* ---- transforms: the 1-D ones, in place over values `step` apart ---------------------------- */

INLINE void FN(input_points)(VEC *d, int step) {
    const VEC d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step];
    const VEC even = d4 - 4 * d2, odd = d3 - 4 * d1, near = d4 - d2, far = 2 * (d3 - d1);
    d[5 * step] += 4 * d1 - 5 * d3;
    d[0] = 4 * d0 - 5 * d2 + d4;
    d[step] = even + odd;
    d[2 * step] = even - odd;
    d[3 * step] = near + far;
    d[4 * step] = near - far;
}

/* Six values to four. */
INLINE void FN(output_points)(VEC *m, int step) {
    const VEC one = m[step] + m[2 * step], other = m[step] - m[2 * step];
    const VEC two = m[3 * step] + m[4 * step], third = m[3 * step] - m[4 * step];
    m[0] += one + two;
    m[step] = other + 2 * third;
    m[2 * step] = one + 4 * two;
    m[3 * step] = other + 8 * third + m[5 * step];
}

/* Three values to six. */
INLINE void FN(filter_points)(const VEC *g, int step, VEC *u, int u_step) {
    const VEC ends = (g[0] + g[2 * step]) * (real)(-1.0 / 6), middle = g[step] * (real)(1.0 / 6);
    const VEC mixed = g[0] * (real)(1.0 / 24) + g[2 * step] * (real)(1.0 / 6);
    const VEC half = g[step] * (real)(1.0 / 12);
    u[0] = g[0] * (real)0.25;
    u[u_step] = ends - middle;
    u[2 * u_step] = ends + middle;
    u[3 * u_step] = mixed + half;
    u[4 * u_step] = mixed - half;
    u[5 * u_step] = g[2 * step];
}

/* ---- filters -------------------------------------------------------------------------------- */

#define FILTER_LANES ((TILE_ROWS + LANES - 1) / LANES * LANES)

static int64_t FN(winograd_filters_size)(int64_t out, int64_t in) {
    return WINOGRAD_POINTS * FN(padded_rows)(out) * in + FILTER_LANES;
}

/* Packs, for each point, the matrix out × in as pack_a does. Weight [o, i, tap] is at o o_step +
 * i i_step + tap, or 8 - tap if it is turned round. */
static void FN(winograd_filters)(const real *weight, int64_t o_step, int64_t i_step, int turned,
                                 int64_t out, int64_t in, real *packed) {
    const int64_t panels = FN(padded_rows)(out) / TILE_ROWS, size = FN(padded_rows)(out) * in;
    PARALLEL_FOR(out * in * WINOGRAD_POINTS)
    for (int64_t panel = 0; panel < panels; panel++)
        for (int64_t i = 0; i < in; i++) {
            real taps[9][FILTER_LANES] = {{0}};
            const int64_t first = panel * TILE_ROWS, some = MIN(TILE_ROWS, out - first);
            for (int64_t r = 0; r < some; r++) {
                const real *from = weight + (first + r) * o_step + i * i_step;
                for (int tap = 0; tap < 9; tap++) taps[tap][r] = from[turned ? 8 - tap : tap];
            }
            for (int64_t lane = 0; lane < FILTER_LANES; lane += LANES) {
                VEC g[9], columns[18], u[WINOGRAD_POINTS];
                for (int tap = 0; tap < 9; tap++) g[tap] = *(const VEC *)&taps[tap][lane];
                for (int c = 0; c < 3; c++) FN(filter_points)(g + c, 3, columns + c, 3);
                for (int r = 0; r < 6; r++) FN(filter_points)(columns + 3 * r, 1, u + 6 * r, 1);
                real *to = packed + (panel * in + i) * TILE_ROWS + lane;
                for (int point = 0; point < WINOGRAD_POINTS; point++) {
                    if (i + 1 < in) /* spare lanes are written over by the next channel */
                        *(VEC *)(to + point * size) = u[point];
                    else
                        memcpy(to + point * size, &u[point],
                               sizeof(real) * (size_t)MIN(LANES, TILE_ROWS - lane));
                }
            }
        }
}

/* ---- tiles ---------------------------------------------------------------------------------- */

/* Lines: of the rows 4 g + r of a channel, element 4 t + q lies in line (r, q) at g pitch + t, where
 * pitch = across + 1. So element (r, c) of tile (g, t) is in line (r % 4, c % 4), (r / 4) pitch + c / 4
 * further on than tile (g, t) is, and neighbouring tiles are neighbouring lanes. */
INLINE int64_t FN(line_size)(int64_t rows, int64_t across) {
    return (rows + 1) * (across + 1) + 3 * LANES;
}

/* Four lines of one row: element 4 t + q of `padded` to lines[q size + t], t <= across. */
#if VECTOR_LANES == 16
#define QUARTER(a, b, q)                                                                         \
    ZIP(a, b, q, q + 4, q + 8, q + 12, q + 16, q + 20, q + 24, q + 28, q, q + 4, q + 8, q + 12,   \
        q + 16, q + 20, q + 24, q + 28)
#elif VECTOR_LANES == 8
#define QUARTER(a, b, q) ZIP(a, b, q, q + 4, q + 8, q + 12, q, q + 4, q + 8, q + 12)
#elif VECTOR_LANES == 4
#define QUARTER(a, b, q) ZIP(a, b, q, q + 4, q, q + 4)
#else
#define QUARTER(a, b, q) ((void)b, a)
#endif
INLINE void FN(split_row)(const real *padded, int64_t across, int64_t size, real *lines) {
    for (int64_t t = 0; t <= across; t += LANES > 1 ? LANES / 2 : 1) {
        const VEC a = *(const VEC *)(padded + 4 * t), b = *(const VEC *)(padded + 4 * t + LANES);
        *(VEC *)(lines + t) = QUARTER(a, b, 0);
        *(VEC *)(lines + size + t) = QUARTER(a, b, 1);
        *(VEC *)(lines + 2 * size + t) = QUARTER(a, b, 2);
        *(VEC *)(lines + 3 * size + t) = QUARTER(a, b, 3);
    }
}
#undef QUARTER

/* The lines of `rows` rows of tiles, from row `top` of a plane on and `left` before its columns, with
 * `more` rows of elements behind them; 0 outside the plane. `padded` is 0 where no row is laid. */
static void FN(split_rows)(const real *plane, int64_t height, int64_t width, int64_t top,
                           int64_t left, int64_t rows, int more, int64_t across, real *padded,
                           int64_t size, real *lines) {
    const int64_t from = MAX(0, left), skip = MAX(0, -left);
    const int64_t some = MAX(0, MIN(width - skip, 4 * (across + 1) - from));
    for (int64_t r = 0; r < 4 * rows + more; r++) {
        real *to = lines + r % 4 * 4 * size + r / 4 * (across + 1);
        if (top + r >= 0 && top + r < height) {
            memcpy(padded + from, plane + (top + r) * width + skip, sizeof(real) * (size_t)some);
            FN(split_row)(padded, across, size, to);
        } else
            for (int q = 0; q < 4; q++)
                for (int64_t t = 0; t <= across; t += LANES) *(VEC *)(to + q * size + t) = (VEC){0};
    }
}

/* Where the values of one channel's tiles go: point p, panel j, from 0 + p point + j panel on. */
typedef struct { real *start; int64_t point, panel; } FN(points_place);

static void FN(place_points)(const FN(winograd) *w, const real *points, FN(points_place) to) {
    const int64_t width = w->panels * TILE_COLUMNS + LANES;
    for (int64_t point = 0; point < WINOGRAD_POINTS; point++)
        for (int64_t panel = 0; panel < w->panels; panel++)
            memcpy(to.start + point * to.point + panel * to.panel,
                   points + point * width + panel * TILE_COLUMNS, sizeof(real) * TILE_COLUMNS);
}

/* Which lanes hold tiles, where several rows of tiles, with the gap behind each, are in a vector. */
INLINE FN(lanes) FN(without_gaps)(int64_t across) {
    FN(lanes) index;
    for (int64_t lane = 0; lane < LANES; lane++)
        index[lane] = (__typeof__(index[0]))MIN(LANES - 1, lane / across * (across + 1) + lane % across);
    return index;
}

INLINE VEC FN(picked)(VEC value, FN(lanes) index) {
#if defined(__GNUC__) && !defined(__clang__)
    return __builtin_shuffle(value, index);
#else
    VEC found;
    for (int64_t lane = 0; lane < LANES; lane++) found[lane] = value[index[lane]];
    return found;
#endif
}

/* What turns a vector of tiles, read from their lines, into their points. */
typedef void FN(tile_points)(const real *lines, int64_t size, int64_t pitch, VEC *points);

/* The tiles of one channel of a block: its planes begin at `start` and `image` apart. */
INLINE void FN(transform_tiles)(const FN(winograd) *w, const real *start, int64_t image,
                                int64_t height, int64_t width, int64_t top, int64_t left, int more,
                                FN(tile_points) *transform, int64_t first, int64_t rows,
                                FN(points_place) place) {
    const int64_t across = w->across, pitch = across + 1, all = w->panels * TILE_COLUMNS + LANES;
    const int64_t size = FN(line_size)(rows, across), row_size = 4 * pitch + 4 * LANES;
    real *padded = workspace(WORKSPACE_PACK_B, sizeof(real) * (size_t)(row_size + 16 * size +
                                                                       WINOGRAD_POINTS * all));
    real *lines = padded + row_size, *points = lines + 16 * size;
    memset(padded, 0, sizeof(real) * (size_t)row_size);
    const int64_t together = MAX(1, LANES / pitch); /* rows of tiles in a vector */
    const FN(lanes) index = FN(without_gaps)(across);
    for (int64_t row = 0; row < rows;) { /* the rows of one image at a time */
        const int64_t down = (first + row) % w->down, here = MIN(rows - row, w->down - down);
        FN(split_rows)(start + (first + row) / w->down * image, height, width, 4 * down - top, left,
                       here, more, across, padded, size, lines);
        for (int64_t g = 0; g < here; g += together)
            for (int64_t t = 0; t < across; t += LANES) {
                VEC d[WINOGRAD_POINTS];
                transform(lines + g * pitch + t, size, pitch, d);
                real *to = points + (row + g) * across + t;
                if (together > 1)
                    for (int p = 0; p < WINOGRAD_POINTS; p++)
                        *(VEC *)(to + p * all) = FN(picked)(d[p], index);
                else
                    for (int p = 0; p < WINOGRAD_POINTS; p++) *(VEC *)(to + p * all) = d[p];
            }
        row += here;
    }
    FN(place_points)(w, points, place);
}

INLINE void FN(input_tile)(const real *lines, int64_t size, int64_t pitch, VEC *d) {
#pragma GCC unroll 6
    for (int c = 0; c < 6; c++) {
#pragma GCC unroll 6
        for (int r = 0; r < 6; r++)
            d[6 * r + c] = *(const VEC *)(lines + (4 * (r % 4) + c % 4) * size + r / 4 * pitch + c / 4);
        FN(input_points)(d + c, 6);
    }
#pragma GCC unroll 6
    for (int r = 0; r < 6; r++) FN(input_points)(d + 6 * r, 1);
}

/* The tiles of one channel in a block, transformed. */
static void FN(winograd_input)(const FN(winograd) *w, int64_t first, int64_t rows, int64_t channel,
                               FN(points_place) place) {
    FN(transform_tiles)(w, w->x + channel * w->height * w->width, w->x_image, w->height, w->width,
                        w->top, w->left, 2, FN(input_tile), first, rows, place);
}

/* A tile of one vector of columns: the others of the panel hold nothing. */
static void FN(narrow_tile)(int64_t depth, const real *a, const real *b, real *c, int64_t c_row,
                            int64_t rows) {
    VEC sum[TILE_ROWS];
    for (int64_t i = 0; i < TILE_ROWS; i++) sum[i] = (VEC){0};
    for (int64_t k = 0; k < depth; k++, a += TILE_ROWS, b += TILE_COLUMNS) {
        const VEC row = *(const VEC *)b;
#pragma GCC unroll 16
        for (int64_t i = 0; i < TILE_ROWS; i++) sum[i] += a[i] * row;
    }
    for (int64_t i = 0; i < rows; i++) *(VEC *)(c + i * c_row) = sum[i];
}

/* One point's product over the channels: sums (out × tiles) = filters × panels. */
static void FN(winograd_product)(const FN(winograd) *w, int64_t point, const real *panels,
                                 real *sums) {
    const int64_t width = w->panels * TILE_COLUMNS, height = FN(padded_rows)(w->out);
    const real *filters = w->filters + point * height * w->in;
    for (int64_t panel = 0; panel < w->panels; panel++) {
        const real *right = panels + (point * w->panels + panel) * w->in * TILE_COLUMNS;
        const int narrow = w->rows * w->across - panel * TILE_COLUMNS <= LANES;
        for (int64_t o = 0; o < w->out; o += TILE_ROWS) {
            real *to = sums + (point * w->out + o) * width + panel * TILE_COLUMNS;
            const int64_t some = MIN(TILE_ROWS, w->out - o);
            if (narrow)
                FN(narrow_tile)(w->in, filters + o * w->in, right, to, width, some);
            else
                FN(tile)(w->in, filters + o * w->in, right, to, width, 0, NULL, NULL, NULL, some,
                         TILE_COLUMNS);
        }
    }
}

/* a[i] = the greatest of a[2 i], a[2 i + 1], b[2 i], b[2 i + 1]; NaN gives way to anything. */
static void FN(greatest_of_four)(real *a, const real *b, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        real best = -REAL_MAX;
        best = a[2 * i] > best ? a[2 * i] : best;
        best = a[2 * i + 1] > best ? a[2 * i + 1] : best;
        best = b[2 * i] > best ? b[2 * i] : best;
        a[i] = b[2 * i + 1] > best ? b[2 * i + 1] : best;
    }
}

/* One output channel of a block, transformed back. */
static void FN(winograd_output)(const FN(winograd) *w, int64_t first, int64_t rows, int64_t channel,
                                const real *sums) {
    const int64_t width = w->panels * TILE_COLUMNS, tiles = rows * w->across;
    const int64_t size = 4 * (tiles + LANES); /* of a line: four columns of each tile */
    const real bias = w->bias ? w->bias[channel] : 0;
    real *lines = workspace(WORKSPACE_PACK_B, sizeof(real) * (size_t)(4 * size));
    for (int64_t t = 0; t < tiles; t += LANES) {
        const real *from = sums + channel * width + t;
        VEC m[WINOGRAD_POINTS];
#pragma GCC unroll 6
        for (int c = 0; c < 6; c++) {
#pragma GCC unroll 6
            for (int r = 0; r < 6; r++)
                m[6 * r + c] = *(const VEC *)(from + (6 * r + c) * w->out * width);
            FN(output_points)(m + c, 6);
        }
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) {
            VEC *p = m + 6 * r, *to = (VEC *)(lines + r * size + 4 * t);
            FN(output_points)(p, 1);
            const VEC even = FN(zip_low)(p[0] + bias, p[2] + bias);
            const VEC odd = FN(zip_low)(p[1] + bias, p[3] + bias);
            const VEC more_even = FN(zip_high)(p[0] + bias, p[2] + bias);
            const VEC more_odd = FN(zip_high)(p[1] + bias, p[3] + bias);
            to[0] = FN(zip_low)(even, odd);
            to[1] = FN(zip_high)(even, odd);
            to[2] = FN(zip_low)(more_even, more_odd);
            to[3] = FN(zip_high)(more_even, more_odd);
        }
    }
    for (int64_t row = 0; row < rows; row++) {
        const int64_t image = (first + row) / w->down, top = (first + row) % w->down * 4;
        real *from = lines + 4 * row * w->across;
        const int step = w->pool ? 2 : 1;
        const int64_t y_width = w->out_width / step, y_height = w->out_height / step;
        const int64_t at = image * w->y_image + (channel * y_height + top / step) * y_width;
        for (int r = 0; r < MIN(4, w->out_height - top); r += step, from += step * size) {
            if (w->pool) FN(greatest_of_four)(from, from + size, y_width);
            FN(store_row)(&w->finish, channel, at + r / step * y_width, from, y_width, w->y);
        }
    }
}

/* ---- the convolution ------------------------------------------------------------------------ */

/* Elements of a block's panels and of its sums, which vectors read beyond. */
INLINE int64_t FN(panels_size)(const FN(winograd) *w) {
    return WINOGRAD_POINTS * w->panels * w->in * TILE_COLUMNS;
}
INLINE int64_t FN(sums_size)(const FN(winograd) *w) {
    return WINOGRAD_POINTS * w->panels * w->out * TILE_COLUMNS + LANES;
}

/* The rows of tiles that fill panels best, within the bounds of a block. */
static void FN(winograd_choose)(FN(winograd) *w, int64_t all, int64_t tiles) {
    const int64_t a_tile = WINOGRAD_POINTS * (w->in + w->out) * (int64_t)sizeof(real);
    const int64_t most = MAX(TILE_COLUMNS, MIN(tiles, WINOGRAD_BYTES / a_tile));
    double best = 0;
    for (int64_t rows = 1; rows <= all && (rows == 1 || rows * w->across <= most); rows++) {
        const int64_t panels = (rows * w->across + TILE_COLUMNS - 1) / TILE_COLUMNS;
        const double filled = (double)(rows * w->across) / (double)(panels * TILE_COLUMNS);
        if (filled < best) continue;
        best = filled;
        w->rows = rows;
        w->panels = panels;
    }
}

/* A channel is a row of each panel of B. */
INLINE FN(points_place) FN(panel_rows)(const FN(winograd) *w, real *panels, int64_t channel) {
    const int64_t panel = w->in * TILE_COLUMNS;
    return (FN(points_place)){panels + channel * TILE_COLUMNS, w->panels * panel, panel};
}

static void FN(winograd_blocks)(FN(winograd) *w) {
    const int64_t all = w->n * w->down;
    FN(winograd_choose)(w, all, WINOGRAD_TILES);
    const int64_t blocks = (all + w->rows - 1) / w->rows;
    const size_t size = sizeof(real) * (size_t)(FN(panels_size)(w) + FN(sums_size)(w));
    if (blocks >= 8) { /* blocks are shared out whole */
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t block = 0; block < blocks; block++) {
            const int64_t first = block * w->rows, rows = MIN(w->rows, all - first);
            real *panels = workspace(WORKSPACE_COLUMNS, size), *sums = panels + FN(panels_size)(w);
            for (int64_t i = 0; i < w->in; i++)
                FN(winograd_input)(w, first, rows, i, FN(panel_rows)(w, panels, i));
            for (int64_t p = 0; p < WINOGRAD_POINTS; p++) FN(winograd_product)(w, p, panels, sums);
            for (int64_t o = 0; o < w->out; o++) FN(winograd_output)(w, first, rows, o, sums);
        }
        return;
    }
    real *panels = workspace(WORKSPACE_COLUMNS, size), *sums = panels + FN(panels_size)(w);
    for (int64_t first = 0; first < all; first += w->rows) { /* the team shares each */
        const int64_t rows = MIN(w->rows, all - first);
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t i = 0; i < w->in; i++)
            FN(winograd_input)(w, first, rows, i, FN(panel_rows)(w, panels, i));
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t p = 0; p < WINOGRAD_POINTS; p++) FN(winograd_product)(w, p, panels, sums);
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t o = 0; o < w->out; o++) FN(winograd_output)(w, first, rows, o, sums);
    }
}

static int FN(winograd_can)(const convolution_args *s, int64_t in, int64_t out) {
    if (!REAL_IS_FLOAT || LANES < 4 || s->axes != 2 || s->by_columns || in < 16 || out < 16) return 0;
    for (int axis = 0; axis < 2; axis++)
        if (s->kernel[axis] != 3 || s->stride[axis] != 1 || s->dilation[axis] != 1) return 0;
    return 1;
}

/* The time of all images of a group, in cycles of one multiply-add of vectors; a vector of tiles takes
 * some 1000 there and back, as measured. */
static double FN(winograd_cost)(const convolution_args *s, int64_t in, int64_t out, int64_t height,
                                int64_t width) {
    const double lanes = (double)LANES, both = (double)(in * out);
    const int64_t down = (height + 3) / 4, across = (width + 3) / 4, tiles = s->n * down * across;
    const int64_t together = MAX(1, LANES / (across + 1));
    const int64_t inputs = s->n * ((down + together - 1) / together) * ((across + LANES - 1) / LANES);
    const int64_t columns = (tiles + LANES - 1) / LANES * LANES;
    const double products = 36 * both * (double)columns / lanes / 0.9;
    const double tiling = 1000 * (double)(in * inputs + out * (columns / LANES));
    const double filters = 4 * both; /* reading four times the weights; perhaps making them */
    return products + tiling + filters;
}

/* Whether it takes less time than a way that comes to `rival` of the FMA peak. */
static int FN(winograd_pays)(const convolution_args *s, int64_t in, int64_t out, int64_t height,
                             int64_t width, double rival) {
    if (!FN(winograd_can)(s, in, out)) return 0;
    const double direct = 9 * (double)(in * out) * (double)(s->n * height * width) / (double)LANES / rival;
    return FN(winograd_cost)(s, in, out, height, width) < direct;
}

/* ---- the gradient of the filters: the same products the other way round ---------------------- */

/* Four values to six: the transpose of output_points. */
INLINE void FN(gradient_points)(const VEC *e, int step, VEC *u, int u_step) {
    const VEC even = e[0] + e[2 * step], odd = e[step] + e[3 * step];
    const VEC far = e[0] + 4 * e[2 * step], wide = 2 * e[step] + 8 * e[3 * step];
    u[5 * u_step] = e[3 * step];
    u[0] = e[0];
    u[u_step] = even + odd;
    u[2 * u_step] = even - odd;
    u[3 * u_step] = far + wide;
    u[4 * u_step] = far - wide;
}

/* Six values to three: the transpose of filter_points. */
INLINE void FN(tap_points)(const VEC *m, int step, VEC *g, int g_step) {
    const VEC near = (m[step] + m[2 * step]) * (real)(1.0 / 6), far = m[3 * step] + m[4 * step];
    g[g_step] = (m[2 * step] - m[step]) * (real)(1.0 / 6) +
                (m[3 * step] - m[4 * step]) * (real)(1.0 / 12);
    g[0] = m[0] * (real)0.25 - near + far * (real)(1.0 / 24);
    g[2 * g_step] = far * (real)(1.0 / 6) - near + m[5 * step];
}

INLINE void FN(gradient_tile)(const real *lines, int64_t size, int64_t pitch, VEC *u) {
    VEC e[16], half[24];
    (void)pitch;
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) e[i] = *(const VEC *)(lines + i * size);
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) FN(gradient_points)(e + c, 4, half + c, 4);
#pragma GCC unroll 6
    for (int r = 0; r < 6; r++) FN(gradient_points)(half + 4 * r, 1, u + 6 * r, 1);
}

/* The 4×4 tiles of one channel of dy in a block, transformed. */
static void FN(winograd_gradient)(const FN(winograd) *w, int64_t first, int64_t rows,
                                  int64_t channel, FN(points_place) place) {
    FN(transform_tiles)(w, w->y + channel * w->out_height * w->out_width, w->y_image,
                        w->out_height, w->out_width, 0, 0, 0, FN(gradient_tile), first, rows, place);
}

/* dweight += the sums of all points (out × in each), transformed back. */
static void FN(winograd_taps)(const real *sums, int64_t out, int64_t in, real *dweight) {
    PARALLEL_FOR(out * in * WINOGRAD_POINTS)
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i += LANES) {
            const int64_t some = MIN(LANES, in - i);
            real *to = dweight + (o * in + i) * 9, taps[9][LANES];
            VEC m[WINOGRAD_POINTS], half[18], g[3];
            for (int point = 0; point < WINOGRAD_POINTS; point++)
                m[point] = *(const VEC *)(sums + (point * out + o) * in + i);
            for (int c = 0; c < 6; c++) FN(tap_points)(m + c, 6, half + c, 6);
            for (int r = 0; r < 3; r++) {
                FN(tap_points)(half + 6 * r, 1, g, 1);
                for (int c = 0; c < 3; c++) *(VEC *)taps[3 * r + c] = g[c];
            }
            for (int64_t lane = 0; lane < some; lane++)
                for (int tap = 0; tap < 9; tap++) to[lane * 9 + tap] += taps[tap][lane];
        }
}

#define WINOGRAD_GRADIENT_TILES 256
#define WINOGRAD_MOST_SUMS (16 << 20)

static void FN(winograd_weight_blocks)(FN(winograd) *w, real *dweight) {
    const int64_t all = w->n * w->down, count = WINOGRAD_POINTS * w->out * w->in;
    FN(winograd_choose)(w, all, WINOGRAD_GRADIENT_TILES);
    const int64_t width = w->panels * TILE_COLUMNS; /* tiles of a block, with some that are not */
    real *sums = workspace(WORKSPACE_PARTIAL, sizeof(real) * (size_t)(count + LANES));
    real *tiles = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)(WINOGRAD_POINTS * width *
                                                                       (w->in + w->out)));
    real *errors = tiles + WINOGRAD_POINTS * width * w->in;
    for (int64_t first = 0; first < all; first += w->rows) {
        const int64_t rows = MIN(w->rows, all - first), some = rows * w->across;
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t c = 0; c < w->in + w->out; c++) {
            const int64_t o = c - w->in;
            if (c < w->in)
                FN(winograd_input)(w, first, rows, c, (FN(points_place)){
                    tiles + c * width, w->in * width, TILE_COLUMNS});
            else
                FN(winograd_gradient)(w, first, rows, o, (FN(points_place)){
                    errors + o * width, w->out * width, TILE_COLUMNS});
        }
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t point = 0; point < WINOGRAD_POINTS; point++) {
            FN(strided) right = {tiles + point * w->in * width, 1, width};
            FN(product) p = {.a = errors + point * w->out * width, .a_row = width, .a_column = 1,
                             .b = &right, .pack_b = FN(pack_strided),
                             .c = sums + point * w->out * w->in, .m = w->out, .n = w->in, .k = some,
                             .c_row = w->in, .beta = first > 0};
            FN(product_alone)(&p);
        }
    }
    FN(winograd_taps)(sums, w->out, w->in, dweight);
}

/* dweight += the filters' gradient. */
static void FN(winograd_weight)(const convolution_args *s, const real *dy, real *dweight) {
    const int64_t in = s->channels / s->group, out = s->outputs / s->group;
    const int64_t size = s->size[0] * s->size[1], out_size = s->out[0] * s->out[1];
    for (int64_t g = 0; g < s->group; g++) {
        FN(winograd) w = {.x = (const real *)s->x + g * in * size,
                          .y = (real *)dy + g * out * out_size, .n = s->n, .in = in, .out = out,
                          .x_image = s->channels * size, .y_image = s->outputs * out_size,
                          .height = s->size[0], .width = s->size[1], .out_height = s->out[0],
                          .out_width = s->out[1], .top = s->pad[0], .left = s->pad[1],
                          .down = (s->out[0] + 3) / 4, .across = (s->out[1] + 3) / 4};
        FN(winograd_weight_blocks)(&w, dweight + g * in * out * 9);
    }
}

/* ---- groups ----------------------------------------------------------------------------------- */

/* Bytes of all groups' filters, transformed and packed. */
static int64_t FN(winograd_groups_size)(const convolution_args *s, int back) {
    const int64_t in = (back ? s->outputs : s->channels) / s->group;
    const int64_t out = (back ? s->channels : s->outputs) / s->group;
    return (int64_t)sizeof(real) * s->group * FN(winograd_filters_size)(out, in);
}

static void FN(winograd_pack_groups)(const convolution_args *s, int back, real *filters) {
    const int64_t in = (back ? s->outputs : s->channels) / s->group;
    const int64_t out = (back ? s->channels : s->outputs) / s->group;
    for (int64_t g = 0; g < s->group; g++)
        FN(winograd_filters)((const real *)s->weight + g * in * out * 9, back ? 9 : in * 9,
                             back ? out * 9 : 9, back, out, in,
                             filters + g * FN(winograd_filters_size)(out, in));
}

/* y = x convolved, group by group; or, turned round, dx from dy: then x and y are they. */
static void FN(winograd_convolve)(const convolution_args *s, int back, const real *x, real *y) {
    const int64_t inputs = back ? s->outputs : s->channels, in = inputs / s->group;
    const int64_t outputs = back ? s->channels : s->outputs, out = outputs / s->group;
    const int64_t *from = back ? s->out : s->size, *to = back ? s->size : s->out;
    const int64_t x_image = !back && s->x_image ? s->x_image : inputs * from[0] * from[1];
    const int64_t plane = to[0] * to[1] / (!back && s->pool ? 4 : 1);
    const int64_t y_image = !back && s->y_image ? s->y_image : outputs * plane;
    const real *filters = back ? NULL : s->packed;
    if (!filters) {
        real *now = workspace(WORKSPACE_PARTIAL, (size_t)FN(winograd_groups_size)(s, back));
        FN(winograd_pack_groups)(s, back, now);
        filters = now;
    }
    for (int64_t g = 0; g < s->group; g++) {
        const int64_t at = g * out * plane;
        FN(winograd) w = {.x = x + g * in * from[0] * from[1],
                          .bias = !back && s->bias ? (const real *)s->bias + g * out : NULL,
                          .filters = filters + g * FN(winograd_filters_size)(out, in),
                          .y = y + at, .n = s->n, .in = in, .out = out, .x_image = x_image,
                          .y_image = y_image, .height = from[0], .width = from[1],
                          .out_height = to[0], .out_width = to[1],
                          .top = back ? 2 - s->pad[0] : s->pad[0],
                          .left = back ? 2 - s->pad[1] : s->pad[1],
                          .down = (to[0] + 3) / 4, .across = (to[1] + 3) / 4};
        if (!back) {
            w.finish = FN(group_finish)(s, g * out, at);
            w.pool = (int)s->pool;
        }
        FN(winograd_blocks)(&w);
    }
}
