/* The product of few rows with a large matrix, which is read once, where it lies: C's transpose is
 * B's times A's. A is packed, its rows side by side in lanes; a register block takes TILE_ROWS columns
 * of B. Where these lie side by side, blocks of k go by for many columns in turn, so that lines are
 * used whole. Every element is the sum of its blocks' chains of multiply-adds, in the order of k. */

#define FEW_ROWS 32 /* for which this pays; twice as many, if B is large */
#define FEW_DEPTH 32 /* of k in a block of columns that lie side by side */
#define FEW_BLOCKS 330 /* of columns at most, whose sums stay near the core while blocks of k go by */
#define LINE (64 / (int64_t)sizeof(real))

typedef struct {
    const matmul_args *shape;
    const FN(finish) *finish;
    const real *packed; /* A: a panel of TILE_COLUMNS rows after another, each with all of k */
    int64_t panels;
} FN(few_rows);

/* to[i] = (or +=) column i of B's block times a panel of A. `dense`: columns lie side by side, else
 * rows do. */
INLINE void FN(few_block)(int columns, int vectors, int dense, int64_t depth, const real *a,
                          const real *b, int64_t step, const real *ahead, int adds, real *to) {
    VEC sum[TILE_ROWS * TILE_VECTORS];
#pragma GCC unroll 32
    for (int i = 0; i < columns * vectors; i++) sum[i] = (VEC){0};
    for (int64_t k = 0; k < depth; k++, a += TILE_COLUMNS, b += dense ? step : 1) {
        VEC row[TILE_VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) row[j] = *(const VEC *)(a + j * LANES);
        if (dense) __builtin_prefetch(ahead + k * LINE, 0, 2);
#pragma GCC unroll 16
        for (int i = 0; i < columns; i++)
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++)
                sum[i * vectors + j] += b[dense ? i : i * step] * row[j];
    }
#pragma GCC unroll 32
    for (int i = 0; i < columns * vectors; i++) {
        VEC *total = (VEC *)(to + i / vectors * TILE_COLUMNS + i % vectors * LANES);
        if (adds) sum[i] += *total;
        *total = sum[i];
    }
}

typedef void FN(few_way)(int64_t columns, int64_t depth, const real *a, const real *b, int64_t step,
                         const real *ahead, int adds, real *to);
#define WAY(name, vectors, dense)                                                                  \
    static __attribute__((noinline)) void FN(name)(int64_t columns, int64_t depth, const real *a,  \
                                                   const real *b, int64_t step, const real *ahead, \
                                                   int adds, real *to) {                           \
        const int64_t on = dense ? 1 : step;                                                       \
        if (columns == TILE_ROWS) {                                                                \
            FN(few_block)(TILE_ROWS, vectors, dense, depth, a, b, step, ahead, adds, to);          \
            return;                                                                                \
        }                                                                                          \
        for (; columns > 0; columns--, b += on, to += TILE_COLUMNS)                                \
            FN(few_block)(1, vectors, dense, depth, a, b, step, ahead, adds, to);                  \
    }
WAY(few_dense, TILE_VECTORS, 1)
WAY(few_dense_narrow, 1, 1)
WAY(few_apart, TILE_VECTORS, 0)
#undef WAY

/* Columns j ... j + some - 1 of the rows of C that belong to a panel, from its sums. */
static void FN(few_store)(const FN(few_rows) *f, int64_t p, int64_t j, int64_t some, const real *sums) {
    const matmul_args *s = f->shape;
    const real *bias = s->column_bias, beta = (real)s->beta;
    for (int64_t i = p * TILE_COLUMNS; i < MIN(s->m, (p + 1) * TILE_COLUMNS); i += LANES, sums += LANES) {
        real turned[LANES * LANES];
        FN(transpose_rows)(sums, TILE_COLUMNS, some, turned, LANES);
        for (int64_t r = 0; r < MIN(LANES, s->m - i); r++) {
            real *to = (real *)s->c + (i + r) * s->c_row + j, *row = turned + r * LANES;
            const FN(finish) here = FN(finish_at)(f->finish, i + r, j, s->c_row);
            if (bias)
                for (int64_t c = 0; c < some; c++) row[c] += bias[j + c];
            if (beta != 0)
                for (int64_t c = 0; c < some; c++) row[c] += beta * to[c];
            if (FN(finishes)(&here))
                for (int64_t c = 0; c < some; c++) row[c] = FN(finished)(&here, row[c], here.slope, c);
            memcpy(to, row, sizeof(real) * (size_t)some);
        }
    }
}

/* Columns from ... end - 1 of C. */
static void FN(few_part)(const FN(few_rows) *f, int64_t from, int64_t end) {
    const matmul_args *s = f->shape;
    const int dense = s->b_column == 1;
    FN(few_way) *way = !dense          ? FN(few_apart)
                       : s->m <= LANES ? FN(few_dense_narrow)
                                       : FN(few_dense);
    const int64_t step = dense ? s->b_row : s->b_column, block = dense ? FEW_DEPTH : BLOCK_K;
    const int64_t most = TILE_ROWS * (dense ? FEW_BLOCKS / f->panels : LANES);
    const int64_t panel = (MIN(most, end - from) + LANES) * TILE_COLUMNS;
    real *sums = workspace(WORKSPACE_COLUMNS, sizeof(real) * (size_t)(panel * f->panels));
    for (int64_t j = from; j < end; j += most) {
        const int64_t columns = MIN(most, end - j);
        for (int64_t k = 0; k < s->k; k += block) {
            const real *b = (const real *)s->b + k * s->b_row + j * s->b_column;
            const int64_t depth = MIN(block, s->k - k);
            /* The next block's rows are called for one by one, some lines with each block of columns. */
            const int64_t lines = depth * LINE, pieces = (columns + lines - 1) / lines;
            for (int64_t c = 0; c < columns; c += TILE_ROWS) {
                const int64_t piece = c / TILE_ROWS, row = MIN(s->k - 1 - k, depth + piece / pieces);
                const real *ahead = b + row * s->b_row + piece % pieces * lines;
                for (int64_t p = 0; p < f->panels; p++)
                    way(MIN(TILE_ROWS, columns - c), depth,
                        f->packed + (p * s->k + k) * TILE_COLUMNS, b + c * s->b_column, step, ahead,
                        k > 0, sums + p * panel + c * TILE_COLUMNS);
            }
        }
        for (int64_t c = 0; c < columns; c += LANES)
            for (int64_t p = 0; p < f->panels; p++)
                FN(few_store)(f, p, j + c, MIN(LANES, columns - c), sums + p * panel + c * TILE_COLUMNS);
    }
}

static void FN(few_rows_product)(const matmul_args *s, const FN(finish) *finish) {
    FN(strided) columns = {s->a, s->a_column, s->a_row};
    real *packed = workspace(WORKSPACE_PACKED, sizeof(real) * (size_t)FN(packed_b_size)(s->m, s->k));
    FN(pack_all_b)(&columns, FN(pack_strided), s->m, s->k, packed);
    const FN(few_rows) f = {s, finish, packed, FN(panels_of)(s->m)};
    const int64_t tiles = (s->n + TILE_ROWS - 1) / TILE_ROWS, parts = MIN(tiles, 4 * threads_count());
    PARALLEL_FOR(s->m * s->n * s->k / 16)
    for (int64_t part = 0; part < parts; part++)
        FN(few_part)(&f, tiles * part / parts * TILE_ROWS,
                     MIN(s->n, tiles * (part + 1) / parts * TILE_ROWS));
}

/* Whether A's rows are few, and B lies densely one way or the other: down its columns dot products do as
 * well, unless lanes are full. */
INLINE int FN(is_of_few_rows)(const matmul_args *s) {
    if (LANES < 4 || s->row_bias || s->k == 0 || s->n < TILE_ROWS || s->m > 2 * FEW_ROWS) return 0;
    if (s->m > FEW_ROWS && s->n * s->k < 1 << 20) return 0;
    if (s->b_column == 1) return !s->packed && s->n * s->k >= 1 << 16;
    return s->b_row == 1 && s->a_column == 1 && 4 * FN(panels_of)(s->m) * TILE_COLUMNS <= 5 * s->m;
}
