/* Convolution by F(4×4, 3×3) and F(4×4, 5×5) of Winograd (Lavin and Gray 2016): 4×4 outputs from 36
 * products where the sum takes 144, or from 64 where it takes 400. Filters, then tiles of the input
 * (6×6 or 8×8), are transformed; for each point of a tile a matrix product over the channels
 * follows; their results are transformed back. In float32 the largest error, against the outputs'
 * scale, is some ten times that of the sum (below 1e-5).
 *
 * Tiles are counted along a row of tiles, row after row, image after image. A block is some whole
 * rows of tiles; what each tile becomes does not depend on the block it is in, nor on the team. */

/* A block's tiles share each read of the filters; transformed, they and the sums stay in cache. */
#define WINOGRAD_BYTES (3 << 20)
#define WINOGRAD_TILES 128

typedef struct {
    const real *x, *bias, *filters; /* one group's; filters transformed and packed */
    real *y;                                /* the outputs, or dy, which is only read */
    int taps, points;                       /* of a filter along an edge, 3 or 5; of a tile */
    int64_t n, in, out;                     /* images; channels of the group */
    int64_t x_image, y_image;               /* elements from one image to the next */
    int64_t height, width, out_height, out_width, top, left;
    int64_t down, across;                   /* rows of tiles of an image, tiles of a row */
    int64_t rows, panels;                   /* rows of tiles of a block, panels they fill */
    FN(finish) finish;                      /* at y */
    int pool;                               /* y holds the greatest of each 2×2 outputs */
} FN(winograd);

/* ---- filters -------------------------------------------------------------------------------- */

#define FILTER_LANES ((TILE_ROWS + LANES - 1) / LANES * LANES)

static int64_t FN(winograd_filters_size)(int taps, int64_t out, int64_t in) {
    return FN(tile_size)(taps) * FN(padded_rows)(out) * in + FILTER_LANES;
}

/* Weight [o, i, tap] is at o o_step + i i_step + tap, or as far from the last tap if turned round. */
typedef struct { const real *weight, *end; int64_t o_step, i_step; int turned; } FN(winograd_source);

/* One panel of each point's matrix out × in, as pack_a makes it. */
INLINE void FN(pack_points)(int taps, const FN(winograd_source) *f, int64_t panel, int64_t out,
                            int64_t in, real *packed) {
    const int64_t size = FN(padded_rows)(out) * in, first = panel * TILE_ROWS;
    const int64_t some = MIN(TILE_ROWS, out - first);
    const int all = taps * taps, edge = FN(tile_edge)(taps);
    for (int64_t i = 0; i < in; i++) {
        const real *from = f->weight + first * f->o_step + i * f->i_step;
        real rows[(MOST_TAPS * MOST_TAPS + LANES - 1) / LANES * LANES][FILTER_LANES];
        for (int64_t lane = 0; lane < FILTER_LANES; lane += LANES) {
            const int64_t here = MAX(0, MIN(LANES, some - lane));
            const real *lanes = from + lane * f->o_step;
            if (lanes + (here - 1) * f->o_step + (all + LANES - 1) / LANES * LANES <= f->end)
                for (int tap = 0; tap < all; tap += LANES)
                    FN(transpose_rows)(lanes + tap, f->o_step, here, &rows[tap][lane], FILTER_LANES);
            else
                for (int tap = 0; tap < all; tap++)
                    for (int64_t r = 0; r < LANES; r++)
                        rows[tap][lane + r] = r < here ? lanes[r * f->o_step + tap] : 0;
        }
        for (int64_t lane = 0; lane < FILTER_LANES; lane += LANES) {
            VEC g[MOST_TAPS * MOST_TAPS], columns[8 * MOST_TAPS], u[MOST_POINTS];
            for (int tap = 0; tap < all; tap++)
                g[tap] = *(const VEC *)&rows[f->turned ? all - 1 - tap : tap][lane];
            for (int c = 0; c < taps; c++) FN(filter_points)(taps, g + c, taps, columns + c, taps);
            for (int r = 0; r < edge; r++)
                FN(filter_points)(taps, columns + taps * r, 1, u + edge * r, 1);
            real *to = packed + (panel * in + i) * TILE_ROWS + lane;
            for (int point = 0; point < edge * edge; point++) {
                if (i + 1 < in) /* spare lanes are written over by the next channel */
                    *(VEC *)(to + point * size) = u[point];
                else
                    memcpy(to + point * size, &u[point],
                           sizeof(real) * (size_t)MIN(LANES, TILE_ROWS - lane));
            }
        }
    }
}

static void FN(winograd_filters)(int taps, const FN(winograd_source) *f, int64_t out, int64_t in,
                                 real *packed) {
    const int64_t panels = FN(padded_rows)(out) / TILE_ROWS;
    PARALLEL_FOR(out * in * FN(tile_size)(taps))
    for (int64_t panel = 0; panel < panels; panel++)
        if (taps == 3)
            FN(pack_points)(3, f, panel, out, in, packed);
        else
            FN(pack_points)(5, f, panel, out, in, packed);
}

/* ---- tiles ---------------------------------------------------------------------------------- */

/* Lines: of the rows 4 g + r of a channel, element 4 t + q lies in line (r, q) at g pitch + t. So
 * element (r, c) of tile (g, t) is in line (r % 4, c % 4), (r / 4) pitch + c / 4 further on than tile
 * (g, t) is, and neighbouring tiles are neighbouring lanes. Where tiles overlap, there is a gap
 * behind each row of them, and behind an image's last one: what the tiles there see besides.
 * Images follow one another. */

/* Four lines of one row: element 4 t + q of `padded` to lines[q size + t], t < pitch. */
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
INLINE void FN(split_row)(const real *padded, int64_t pitch, int64_t size, real *lines) {
    for (int64_t t = 0; t < pitch; t += LANES > 1 ? LANES / 2 : 1) {
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
                           int64_t left, int64_t rows, int more, int64_t pitch, real *padded,
                           int64_t size, real *lines) {
    const int64_t from = MAX(0, left), skip = MAX(0, -left);
    const int64_t some = MAX(0, MIN(width - skip, 4 * pitch - from));
    for (int64_t r = 0; r < 4 * rows + more; r++) {
        real *to = lines + r % 4 * 4 * size + r / 4 * pitch;
        if (top + r >= 0 && top + r < height) {
            memcpy(padded + from, plane + (top + r) * width + skip, sizeof(real) * (size_t)some);
            FN(split_row)(padded, pitch, size, to);
        } else
            for (int q = 0; q < 4; q++)
                for (int64_t t = 0; t < pitch; t += LANES) *(VEC *)(to + q * size + t) = (VEC){0};
    }
}

/* Where the values of one channel's tiles go: point p, panel j, from 0 + p point + j panel on. */
typedef struct { real *start; int64_t point, panel; } FN(points_place);

static void FN(place_points)(const FN(winograd) *w, const real *points, FN(points_place) to) {
    const int64_t width = w->panels * TILE_COLUMNS + LANES;
    for (int64_t point = 0; point < w->points; point++)
        for (int64_t panel = 0; panel < w->panels; panel++)
            memcpy(to.start + point * to.point + panel * to.panel,
                   points + point * width + panel * TILE_COLUMNS, sizeof(real) * TILE_COLUMNS);
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

/* Where a vector of tiles' points go, `step` apart: the lanes that hold tiles, or all if not `apart`. */
typedef struct { real *start; int64_t step; FN(lanes) lanes; int apart; } FN(tiles_place);

INLINE void FN(put_points)(const FN(tiles_place) *to, int first, int count, const VEC *points) {
#pragma GCC unroll 8
    for (int p = 0; p < count; p++)
        *(VEC *)(to->start + (first + p) * to->step) =
            to->apart ? FN(picked)(points[p], to->lanes) : points[p];
}

/* What turns a vector of tiles, read from their lines, into their points. */
typedef void FN(tile_points)(int taps, const real *lines, int64_t size, int64_t pitch,
                             const FN(tiles_place) *to);

/* Where the next tiles of a block are. */
typedef struct { int64_t row, t, down, at; } FN(tile_place);

/* As many of the next tiles as one vector of each line holds; says which lanes they are in, from
 * place->at on, and how many they are. */
static int64_t FN(next_tiles)(const FN(winograd) *w, int64_t rows, int gap, FN(tile_place) *place,
                              int32_t *lane) {
    const int64_t start = place->at;
    int64_t count = 0;
    while (place->row < rows && place->at < start + LANES) {
        const int64_t some = MIN(w->across - place->t, start + LANES - place->at);
        for (int64_t i = 0; i < some; i++) lane[count++] = (int32_t)(place->at - start + i);
        place->at += some;
        place->t += some;
        if (place->t < w->across) break;
        place->t = 0;
        place->row++;
        place->at += gap;
        if (++place->down < w->down) continue;
        place->down = 0;
        place->at += gap * (w->across + gap);
    }
    return count;
}

/* The tiles of one channel of a block: its planes begin at `start` and `image` apart. */
INLINE void FN(transform_tiles)(int taps, const FN(winograd) *w, const real *start, int64_t image,
                                int64_t height, int64_t width, int64_t top, int64_t left, int more,
                                FN(tile_points) *transform, int64_t first, int64_t rows,
                                FN(points_place) to) {
    const int tile = FN(tile_size)(taps), gap = more > 0;
    const int64_t pitch = w->across + gap, all = w->panels * TILE_COLUMNS + LANES;
    const int64_t images = (first % w->down + rows + w->down - 1) / w->down;
    const int64_t size = (rows + gap * images) * pitch + 3 * LANES, row_size = 4 * pitch + 4 * LANES;
    real *padded = workspace(WORKSPACE_PACK_B, sizeof(real) * (size_t)(row_size + 16 * size + tile * all));
    real *lines = padded + row_size, *points = lines + 16 * size;
    memset(padded, 0, sizeof(real) * (size_t)row_size);
    for (int64_t row = 0, at = 0; row < rows;) { /* the rows of one image at a time */
        const int64_t down = (first + row) % w->down, here = MIN(rows - row, w->down - down);
        FN(split_rows)(start + (first + row) / w->down * image, height, width, 4 * down - top, left,
                       here, more, pitch, padded, size, lines + at);
        row += here;
        at += (here + gap) * pitch;
    }
    FN(tile_place) place = {.down = first % w->down};
    for (int64_t done = 0, some; place.row < rows; done += some) {
        int32_t lane[LANES_FLOAT] = {0};
        const int64_t at = place.at;
        some = FN(next_tiles)(w, rows, gap, &place, lane);
        FN(tiles_place) tiles = {points + done, all, {0}, lane[some - 1] >= some};
        for (int64_t i = 0; i < LANES; i++) tiles.lanes[i] = lane[i];
        transform(taps, lines + at, size, pitch, &tiles);
    }
    FN(place_points)(w, points, to);
}

INLINE void FN(input_tile)(int taps, const real *lines, int64_t size, int64_t pitch,
                           const FN(tiles_place) *to) {
    const int edge = FN(tile_edge)(taps);
    VEC d[MOST_POINTS];
#pragma GCC unroll 8
    for (int c = 0; c < edge; c++) {
#pragma GCC unroll 8
        for (int r = 0; r < edge; r++)
            d[edge * r + c] = *(const VEC *)(lines + (4 * (r % 4) + c % 4) * size + r / 4 * pitch + c / 4);
        FN(input_points)(taps, d + c, edge);
    }
#pragma GCC unroll 8
    for (int r = 0; r < edge; r++) {
        FN(input_points)(taps, d + edge * r, 1);
        FN(put_points)(to, edge * r, edge, d + edge * r);
    }
}

/* The tiles of one channel in a block, transformed. */
static void FN(winograd_input)(const FN(winograd) *w, int64_t first, int64_t rows, int64_t channel,
                               FN(points_place) place) {
    const real *start = w->x + channel * w->height * w->width;
    if (w->taps == 3)
        FN(transform_tiles)(3, w, start, w->x_image, w->height, w->width, w->top, w->left, 2,
                            FN(input_tile), first, rows, place);
    else
        FN(transform_tiles)(5, w, start, w->x_image, w->height, w->width, w->top, w->left, 4,
                            FN(input_tile), first, rows, place);
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
INLINE void FN(output_tiles)(int taps, const FN(winograd) *w, int64_t first, int64_t rows,
                             int64_t channel, const real *sums) {
    const int edge = FN(tile_edge)(taps);
    const int64_t width = w->panels * TILE_COLUMNS, tiles = rows * w->across;
    const int64_t size = 4 * (tiles + LANES); /* of a line: four columns of each tile */
    const real bias = w->bias ? w->bias[channel] : 0;
    real *lines = workspace(WORKSPACE_PACK_B, sizeof(real) * (size_t)(4 * size));
    for (int64_t t = 0; t < tiles; t += LANES) {
        const real *from = sums + channel * width + t;
        VEC m[MOST_POINTS];
#pragma GCC unroll 8
        for (int c = 0; c < edge; c++) {
#pragma GCC unroll 8
            for (int r = 0; r < edge; r++)
                m[edge * r + c] = *(const VEC *)(from + (edge * r + c) * w->out * width);
            FN(output_points)(taps, m + c, edge);
        }
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) {
            VEC *p = m + edge * r, *to = (VEC *)(lines + r * size + 4 * t);
            FN(output_points)(taps, p, 1);
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

static void FN(winograd_output)(const FN(winograd) *w, int64_t first, int64_t rows, int64_t channel,
                                const real *sums) {
    if (w->taps == 3)
        FN(output_tiles)(3, w, first, rows, channel, sums);
    else
        FN(output_tiles)(5, w, first, rows, channel, sums);
}

/* ---- the convolution ------------------------------------------------------------------------ */

/* Elements of a block's panels and of its sums, which vectors read beyond. */
INLINE int64_t FN(panels_size)(const FN(winograd) *w) {
    return w->points * w->panels * w->in * TILE_COLUMNS;
}
INLINE int64_t FN(sums_size)(const FN(winograd) *w) {
    return w->points * w->panels * w->out * TILE_COLUMNS + LANES;
}

/* The rows of tiles that fill panels best, within the bounds of a block. */
static void FN(winograd_choose)(FN(winograd) *w, int64_t all, int64_t tiles) {
    const int64_t a_tile = w->points * (w->in + w->out) * (int64_t)sizeof(real);
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
            for (int64_t p = 0; p < w->points; p++) FN(winograd_product)(w, p, panels, sums);
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
        for (int64_t p = 0; p < w->points; p++) FN(winograd_product)(w, p, panels, sums);
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t o = 0; o < w->out; o++) FN(winograd_output)(w, first, rows, o, sums);
    }
}

static int FN(winograd_can)(const convolution_args *s, int64_t in, int64_t out) {
    if (!REAL_IS_FLOAT || LANES < 4 || s->axes != 2 || s->by_columns || in < 16 || out < 16) return 0;
    for (int axis = 0; axis < 2; axis++)
        if (s->kernel[axis] != s->kernel[0] || s->stride[axis] != 1 || s->dilation[axis] != 1) return 0;
    return s->kernel[0] == 3 || s->kernel[0] == 5;
}

/* The time of all images of a group, in multiply-adds of vectors, as measured. */
static double FN(winograd_cost)(const convolution_args *s, int64_t in, int64_t out, int64_t height,
                                int64_t width) {
    const double lanes = (double)LANES, both = (double)(in * out);
    const int64_t down = (height + 3) / 4, across = (width + 3) / 4, tiles = s->n * down * across;
    const int64_t inputs = s->n * ((down + 1) * (across + 1) + LANES - 1) / LANES;
    const int64_t columns = (tiles + LANES - 1) / LANES * LANES;
    const double points = FN(tile_size)((int)s->kernel[0]);
    const double products = points * (double)(in * FN(padded_rows)(out) * columns) / lanes / 0.9;
    const double tiling = points * (double)(36 * in * inputs + 28 * out * (columns / LANES));
    const double filters = points * both * (s->packed ? 1.0 / 9 : 1); /* reading or making them */
    return products + tiling + filters;
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
    const int64_t in = (back ? s->outputs : s->channels) / s->group;
    const int64_t out = (back ? s->channels : s->outputs) / s->group;
    const int taps = (int)s->kernel[0];
    return (int64_t)sizeof(real) * s->group * FN(winograd_filters_size)(taps, out, in);
}

static void FN(winograd_pack_groups)(const convolution_args *s, int back, real *filters) {
    const int64_t in = (back ? s->outputs : s->channels) / s->group;
    const int64_t out = (back ? s->channels : s->outputs) / s->group;
    const int taps = (int)s->kernel[0], all = taps * taps;
    for (int64_t g = 0; g < s->group; g++) {
        const real *weight = (const real *)s->weight + g * in * out * all;
        const FN(winograd_source) f = {weight, weight + in * out * all, back ? all : in * all,
                                       back ? out * all : all, back};
        FN(winograd_filters)(taps, &f, out, in, filters + g * FN(winograd_filters_size)(taps, out, in));
    }
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
    const int taps = (int)s->kernel[0];
    for (int64_t g = 0; g < s->group; g++) {
        const int64_t at = g * out * plane;
        FN(winograd) w = {.taps = taps, .points = FN(tile_size)(taps),
                          .x = x + g * in * from[0] * from[1],
                          .bias = !back && s->bias ? (const real *)s->bias + g * out : NULL,
                          .filters = filters + g * FN(winograd_filters_size)(taps, out, in),
                          .y = y + at, .n = s->n, .in = in, .out = out, .x_image = x_image,
                          .y_image = y_image, .height = from[0], .width = from[1],
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
