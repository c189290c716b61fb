/* Products of tiles and weights over channels, vectors across the outputs: what Winograd's convolutions
 * take for each point of a tile, and Strassen's for each of its seven products. */

/* What the products of one point share: channels, and how far apart their tiles are, and those of the
 * outputs that each tile has. */
typedef struct {
    int64_t depth, x_step, y_step;
    int more; /* sums go on from what is there */
    const real *ahead; /* what is called for meanwhile, ahead_step further with each channel; or NULL */
    int64_t ahead_step;
} FN(point_product);

/* Sums of some tiles at some vectors of outputs. */
INLINE void FN(tiles_block)(const FN(point_product) *p, int tiles, int vectors, const real *x,
                            const real *weight, real *y) {
    VEC sum[TILE_ROWS][TILE_VECTORS];
    const int64_t depth = p->depth, x_step = p->x_step, y_step = p->y_step;
    const real *ahead = p->ahead ? p->ahead : weight;
#pragma GCC unroll 16
    for (int i = 0; i < tiles; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[i][v] = p->more ? *(const VEC *)(y + i * y_step + v * LANES) : (VEC){0};
    for (int64_t d = 0; d < depth; d++, x += x_step, weight += vectors * LANES) {
        VEC row[TILE_VECTORS];
        __builtin_prefetch(ahead, 0, 2);
        __builtin_prefetch(ahead + p->ahead_step / 2, 0, 2);
        ahead += p->ahead_step;
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) row[v] = *(const VEC *)(weight + v * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < tiles; i++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[i][v] += x[i] * row[v];
    }
#pragma GCC unroll 16
    for (int i = 0; i < tiles; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) *(VEC *)(y + i * y_step + v * LANES) = sum[i][v];
}

#define TILES(count)                                               \
    case count:                                                    \
        if (vectors == 1)                                          \
            FN(tiles_block)(p, count, 1, x, weight, y);            \
        else if (TILE_VECTORS > 2 && vectors == 2)                 \
            FN(tiles_block)(p, count, 2, x, weight, y);            \
        else                                                       \
            FN(tiles_block)(p, count, TILE_VECTORS, x, weight, y); \
        break;
static void FN(multiply_tiles)(const FN(point_product) *p, int64_t tiles, int64_t vectors,
                               const real *x, const real *weight, real *y) {
    switch (tiles) {
        TILES(1) TILES(2)
#if TILE_ROWS >= 4
        TILES(3) TILES(4)
#endif
#if TILE_ROWS >= 6
        TILES(5) TILES(6)
#endif
#if TILE_ROWS >= 8
        TILES(7) TILES(8)
#endif
#if TILE_ROWS >= 14
        TILES(9) TILES(10) TILES(11) TILES(12) TILES(13) TILES(14)
#endif
    }
}
#undef TILES

/* Tiles t0 … t1 - 1 at a panel of outputs, `width` of them: y (tiles × outputs) = x × weight. Each part of
 * the tiles calls for its share of as many elements from p->ahead on. */
static void FN(multiply_panel)(const FN(point_product) *p, int64_t t0, int64_t t1, int64_t width,
                               const real *x, const real *weight, real *y) {
    const int64_t tiles = t1 - t0, parts = (tiles + TILE_ROWS - 1) / TILE_ROWS;
    for (int64_t part = 0; part < parts; part++) {
        const int64_t first = t0 + tiles * part / parts, end = t0 + tiles * (part + 1) / parts;
        FN(point_product) q = *p;
        if (p->ahead) {
            q.ahead_step = (width + parts - 1) / parts;
            q.ahead += part * q.ahead_step * p->depth;
        }
        FN(multiply_tiles)(&q, end - first, width / LANES, x + first, weight, y + first * p->y_step);
    }
}

/* The same at the panels of outputs o0 … o1 - 1 of all y_step. If the filters come from memory, the next
 * panel is called for at each; at the last one the next point's, which follows. */
static void FN(multiply_panels)(const FN(point_product) *p, int64_t t0, int64_t t1, int64_t o0, int64_t o1,
                                const real *x, const real *filters, int from_memory, real *y) {
    for (int64_t o = o0; o < o1; o += TILE_COLUMNS) {
        const int64_t width = MIN(TILE_COLUMNS, o1 - o);
        FN(point_product) q = *p;
        if (from_memory) q.ahead = filters + (o + width < o1 ? o + width : p->y_step + o0) * p->depth;
        FN(multiply_panel)(&q, t0, t1, width, x, filters + o * p->depth, y + o);
    }
}
