/* Tiles of planes as Winograd's convolutions take them: transformed, each point's values of a channel's
 * tiles side by side.
 *
 * Tiles are counted along a row of tiles, row after row, image after image. A block is some whole
 * rows of tiles; what each tile becomes does not depend on the block it is in, nor on the team. */

typedef struct {
    const real *x, *bias;                   /* one group's */
    const real *filters;                    /* transformed and packed; NULL: as they are used, */
    FN(winograd_source) source;             /* from here */
    real *y;                                /* the outputs, or dy, which is only read */
    int taps, points;                       /* of a filter along an edge; of a tile */
    int64_t stride;
    int64_t n, in, out;                     /* images; channels of the group, all phases of the input's */
    int64_t x_image, y_image;               /* elements from one image to the next */
    int64_t height, width, out_height, out_width, top, left;
    int64_t seen_height, seen_width;        /* of the input: the steps may end before its last ones */
    int64_t down, across;                   /* rows of tiles of an image, tiles of a row */
    int64_t rows, breadth;                  /* rows of tiles of a block; their tiles, in whole vectors */
    FN(finish) finish;                      /* at y */
    int pool;                               /* y holds the greatest of each 2×2 outputs */
} FN(winograd);

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

/* A channel's planes, `image` apart and rows `pitch` apart, of which every stride-th row and column counts;
 * the first is at row `top`, column `left`. All outside of height × width is 0. */
typedef struct {
    const real *start;
    int64_t image, pitch, channel; /* elements to the next image, row, channel */
    int64_t height, width, top, left, stride;
} FN(planes);

/* The lines of `rows` rows of tiles of an image, from row `first` on, with `more` rows of elements behind
 * them. `padded` is 0 where no row is laid. */
static void FN(split_rows)(const FN(planes) *p, int64_t image, int64_t first, int64_t rows, int more,
                           int64_t pitch, real *padded, int64_t size, real *lines) {
    const real *plane = p->start + image * p->image;
    const int64_t from = MAX(0, -p->left), skip = MAX(0, p->left);
    const int64_t some = MAX(0, MIN(p->width - skip, 4 * pitch - from));
    for (int64_t r = 0; r < 4 * rows + more; r++) {
        real *to = lines + r % 4 * 4 * size + r / 4 * pitch;
        const int64_t row = (4 * first + r) * p->stride + p->top;
        if (row >= 0 && row < p->height) {
            if (p->stride == 1) {
                const real *next = plane + p->channel + row * p->pitch;
                for (int64_t at = 0; at < p->width; at += 64 / sizeof(real))
                    __builtin_prefetch(next + at, 0, 2);
                memcpy(padded + from, plane + row * p->pitch + skip, sizeof(real) * (size_t)some);
            } else
                FN(lay_row)(plane + row * p->pitch, p->width, p->left, p->stride, padded, 4 * pitch);
            FN(split_row)(padded, pitch, size, to);
        } else
            for (int q = 0; q < 4; q++)
                for (int64_t t = 0; t < pitch; t += LANES) *(VEC *)(to + q * size + t) = (VEC){0};
    }
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

/* Where the values of one channel's tiles go: point p's from start + p step on, `breadth` elements. */
typedef struct { real *start; int64_t step, breadth; } FN(points_place);

/* Where a vector of tiles' points go, `step` apart: the lanes that hold tiles, or all if not `apart`;
 * `room` of them, if that is less than a vector. */
typedef struct { real *start; int64_t step, room; FN(lanes) lanes; int apart; } FN(tiles_place);

INLINE void FN(put_points)(const FN(tiles_place) *to, int first, int count, const VEC *points) {
#pragma GCC unroll 8
    for (int p = 0; p < count; p++) {
        const VEC value = to->apart ? FN(picked)(points[p], to->lanes) : points[p];
        real *at = to->start + (first + p) * to->step;
        if (to->room >= LANES)
            *(VEC *)at = value;
        else
            FN(store_some)(at, value, to->room);
    }
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

/* The tiles of one channel of a block. */
INLINE void FN(transform_tiles)(int taps, const FN(winograd) *w, const FN(planes) *planes, int more,
                                FN(tile_points) *transform, int64_t first, int64_t rows,
                                FN(points_place) to) {
    const int gap = more > 0;
    const int64_t pitch = w->across + gap;
    const int64_t images = (first % w->down + rows + w->down - 1) / w->down;
    const int64_t size = (rows + gap * images) * pitch + 3 * LANES, row_size = 4 * pitch + 4 * LANES;
    real *padded = workspace(WORKSPACE_PACK_B, sizeof(real) * (size_t)(row_size + 16 * size));
    real *lines = padded + row_size;
    memset(padded, 0, sizeof(real) * (size_t)row_size);
    for (int64_t row = 0, at = 0; row < rows;) { /* the rows of one image at a time */
        const int64_t down = (first + row) % w->down, here = MIN(rows - row, w->down - down);
        FN(split_rows)(planes, (first + row) / w->down, down, here, more, pitch, padded, size, lines + at);
        row += here;
        at += (here + gap) * pitch;
    }
    FN(tile_place) place = {.down = first % w->down};
    for (int64_t done = 0, some; place.row < rows; done += some) {
        int32_t lane[LANES_FLOAT] = {0};
        const int64_t at = place.at;
        some = FN(next_tiles)(w, rows, gap, &place, lane);
        FN(tiles_place) tiles = {to.start + done, to.step, to.breadth - done, {0},
                                 lane[some - 1] >= some};
        for (int64_t i = 0; i < LANES; i++) tiles.lanes[i] = lane[i];
        transform(taps, lines + at, size, pitch, &tiles);
    }
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
    const int64_t phases = w->stride * w->stride, phase = channel % phases, size = w->height * w->width;
    const FN(planes) planes = {w->x + channel / phases * size, w->x_image, w->width, size,
                               w->seen_height, w->seen_width, phase / w->stride - w->top,
                               phase % w->stride - w->left, w->stride};
    WITH_TAPS(w->taps, FN(transform_tiles)(TAPS, w, &planes, TAPS - 1, FN(input_tile), first, rows, place));
}

