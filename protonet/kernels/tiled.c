/* The matrix product by AMX tiles (amx.h), for float where the processor has them: blocks of columns
 * are split into steps that stay in the second cache, a panel of rows beside them in the first.
 * Every element of C is one chain in the order of k, wherever it falls and whatever the team. */

/* Returns where `count` columns of B from `first` on can be read: `depth` rows from k on, `step` apart.
 * May copy them to `scratch`, which has room for twice TILED_READ. */
typedef const real *FN(reader)(const void *source, int64_t first, int64_t count, int64_t k, int64_t depth,
                               real *scratch, int64_t *step);

/* Splits `columns` columns of B from `first` on into steps: `depth` rows from k on. */
typedef void FN(splitter)(const void *source, int64_t first, int64_t columns, int64_t k, int64_t depth,
                          char *steps);

typedef struct {
    const real *a; /* rows of k, a_row apart */
    int64_t a_row;
    FN(reader) *columns; /* or, if they are split already: */
    FN(splitter) *split;
    const void *b;
    const char *packed_a, *packed_b; /* all steps, panel by panel, or NULL: split as they are needed */
    int64_t m, n, k;
    real *c;
    int64_t c_row, plane, c_image; /* column j is element j % plane of image j / plane */
    real beta;
    const real *row_bias, *column_bias;
    const FN(finish) *finish; /* at C, or NULL */
} FN(tiled);

#if defined(__AVX512F__) && REAL_IS_FLOAT
#define TILED_K (AMX_DEPTH * 8)
#define TILED_COLUMNS 8 /* panels of columns of a block */
#define TILED_ROWS 16   /* panels of rows whose sums wait for the rest of k */
#define TILED_SUMS (TILED_COLUMNS * AMX_SIDE + 16) /* of a row; not a power of two apart */
#define TILED_SHARED (1 << 20) /* bytes of B that all threads read */
#define TILED_READ (AMX_SIDE * (TILED_K + 1)) /* packers write up to a row more */

static int64_t FN(tiled_panels)(int64_t count) { return (count + AMX_SIDE - 1) / AMX_SIDE; }
static int64_t FN(tiled_panel_size)(int64_t k) { return (k + AMX_DEPTH - 1) / AMX_DEPTH * AMX_STEP_BYTES; }
static int64_t FN(tiled_size)(int64_t count, int64_t k) {
    return FN(tiled_panels)(count) * FN(tiled_panel_size)(k);
}

/* Where steps begin in memory that is aligned less. */
static char *FN(aligned)(const void *memory) { return (char *)(((uintptr_t)memory + 63) / 64 * 64); }

static void FN(tiled_rows)(const FN(tiled) *t, int64_t panel, int64_t k, int64_t depth, char *to) {
    const int64_t first = panel * AMX_SIDE;
    amx_split_rows(t->a + first * t->a_row + k, t->a_row, MIN(AMX_SIDE, t->m - first), depth, to);
}

static void FN(tiled_columns)(const FN(tiled) *t, int64_t panel, int64_t k, int64_t depth, char *to) {
    const int64_t first = panel * AMX_SIDE, columns = MIN(AMX_SIDE, t->n - first);
    if (t->split) {
        t->split(t->b, first, columns, k, depth, to);
        return;
    }
    real *scratch = workspace(WORKSPACE_READ, sizeof(real) * (2 * TILED_READ + LANES));
    int64_t step;
    const real *from = t->columns(t->b, first, columns, k, depth, scratch, &step);
    amx_split_columns(from, step, depth, columns, to);
}

/* All steps of A, or of B. */
static void FN(tiled_pack)(const FN(tiled) *t, int is_b, char *packed) {
    const int64_t panels = FN(tiled_panels)(is_b ? t->n : t->m), size = FN(tiled_panel_size)(t->k);
    PARALLEL_FOR(panels * AMX_SIDE * t->k)
    for (int64_t panel = 0; panel < panels; panel++)
        for (int64_t k = 0; k < t->k; k += TILED_K) {
            char *to = packed + panel * size + k / AMX_DEPTH * AMX_STEP_BYTES;
            (is_b ? FN(tiled_columns) : FN(tiled_rows))(t, panel, k, MIN(TILED_K, t->k - k), to);
        }
}

/* A vector of sums, finished. */
INLINE VEC FN(finished_sums)(const FN(finish) *f, int what, VEC value, VEC slope, const real *residual,
                             int64_t lanes) {
    if (residual) value += FN(load_some)(residual, lanes);
    if (what == RECTIFY) return (VEC)_mm512_max_ps(_mm512_setzero_ps(), (__m512)value);
    return what == PLAIN ? value : FN(activated)(f, value, slope);
}

/* `count` sums of a row, finished, to C. */
INLINE void FN(store_sums_as)(const FN(finish) *f, int what, const real *sums, int64_t count, real bias,
                              real slope, const real *residual, real *to) {
    const VEC slopes = (VEC){0} + slope;
    int64_t v = 0;
    for (; v + LANES <= count; v += LANES)
        *(VEC *)(to + v) = FN(finished_sums)(f, what, *(const VEC *)(sums + v) + bias, slopes,
                                             residual ? residual + v : NULL, LANES);
    if (v < count)
        FN(store_some)(to + v, FN(finished_sums)(f, what, *(const VEC *)(sums + v) + bias, slopes,
                                                 residual ? residual + v : NULL, count - v), count - v);
}

static void FN(store_finished)(const FN(finish) *f, const real *sums, int64_t count, int64_t row, real bias,
                               int64_t at, real *to) {
    const real slope = f->row_slopes ? f->row_slopes[row] : f->slope;
    const real *residual = f->residual ? f->residual + at : NULL;
    if (f->what == RECTIFY && !residual)
        FN(store_sums_as)(f, RECTIFY, sums, count, bias, slope, NULL, to);
    else if (f->what == RECTIFY)
        FN(store_sums_as)(f, RECTIFY, sums, count, bias, slope, residual, to);
    else if (f->what == PLAIN)
        FN(store_sums_as)(f, PLAIN, sums, count, bias, slope, residual, to);
    else
        FN(store_sums_as)(f, ACTIVATE, sums, count, bias, slope, residual, to);
}

/* What belongs to columns rather than rows, or adds to C. */
static void FN(store_summed)(const FN(tiled) *t, const real *sums, int64_t count, real bias, int64_t column,
                             int64_t at) {
    const FN(finish) *f = t->finish;
    for (int64_t v = 0; v < count; v += LANES) {
        const int64_t lanes = MIN(LANES, count - v);
        VEC value = *(const VEC *)(sums + v) + bias, slope = (VEC){0} + (f ? f->slope : 0);
        if (t->column_bias) value += FN(load_some)(t->column_bias + column + v, lanes);
        if (t->beta != 0) value += t->beta * FN(load_some)(t->c + at + v, lanes);
        if (f && f->residual) value += FN(load_some)(f->residual + at + v, lanes);
        if (f && f->column_slopes) slope = FN(load_some)(f->column_slopes + column + v, lanes);
        if (f && f->what != PLAIN) value = FN(activated)(f, value, slope);
        FN(store_some)(t->c + at + v, value, lanes);
    }
}

/* A panel of rows' sums of the columns from `column` to `end` - 1, finished, to C. */
static void FN(store_tiled)(const FN(tiled) *t, int64_t row, int64_t column, int64_t end, const real *sums) {
    const int64_t rows = MIN(AMX_SIDE, t->m - row);
    const int plain = !t->column_bias && t->beta == 0 && !(t->finish && t->finish->column_slopes);
    const FN(finish) none = {.what = PLAIN}, *f = t->finish ? t->finish : &none;
    for (int64_t i = 0; i < rows; i++, sums += TILED_SUMS) {
        const real bias = t->row_bias ? t->row_bias[row + i] : 0;
        for (int64_t j = column, some; j < end; j += some) {
            const int64_t at = j / t->plane * t->c_image + (row + i) * t->c_row + j % t->plane;
            some = MIN(end - j, t->plane - j % t->plane);
            if (plain)
                FN(store_finished)(f, sums + j - column, some, row + i, bias, at, t->c + at);
            else
                FN(store_summed)(t, sums + j - column, some, bias, j, at);
        }
    }
}

/* Panels r0 … r1 - 1 of rows, c0 … c1 - 1 of columns, on this thread. */
static void FN(tiled_part)(const FN(tiled) *t, int64_t r0, int64_t r1, int64_t c0, int64_t c1) {
    const int64_t all = FN(tiled_panel_size)(t->k), block = TILED_K / AMX_DEPTH * AMX_STEP_BYTES;
    const int once = t->k <= TILED_K;
    char *rows = workspace(WORKSPACE_STEPS_A, (size_t)block);
    char *columns = workspace(WORKSPACE_STEPS_B, (size_t)(TILED_COLUMNS * block));
    real *sums = workspace(WORKSPACE_SUMS, sizeof(real) * (TILED_ROWS * AMX_SIDE * TILED_SUMS + LANES));
    int64_t offset[TILED_K / AMX_DEPTH];
    for (int64_t s = 0; s < TILED_K / AMX_DEPTH; s++) offset[s] = s * AMX_STEP_BYTES;
    amx_open();
    for (int64_t c = c0; c < c1; c += TILED_COLUMNS)
        for (int64_t r = r0; r < r1; r += once ? r1 - r0 : TILED_ROWS)
            for (int64_t k = 0; k < t->k; k += TILED_K) {
                const int64_t depth = MIN(TILED_K, t->k - k), steps = (depth + AMX_DEPTH - 1) / AMX_DEPTH;
                const int64_t at = k / AMX_DEPTH * AMX_STEP_BYTES, width = MIN(TILED_COLUMNS, c1 - c);
                const int64_t end = once ? r1 : MIN(r1, r + TILED_ROWS);
                for (int64_t j = 0; j < width && !t->packed_b; j++)
                    FN(tiled_columns)(t, c + j, k, depth, columns + j * block);
                for (int64_t i = r; i < end; i++) {
                    if (!t->packed_a) FN(tiled_rows)(t, i, k, depth, rows);
                    const char *left = t->packed_a ? t->packed_a + i * all + at : rows;
                    const int64_t lines = t->packed_a ? (AMX_STEP_BYTES / 64 + width - 1) / width : 0;
                    real *to = sums + (once ? 0 : i - r) * AMX_SIDE * TILED_SUMS;
                    for (int64_t j = 0; j < width; j++) {
                        const amx_columns right = {
                            t->packed_b ? t->packed_b + (c + j) * all + at : columns + j * block,
                            offset, 64, AMX_STEP_BYTES / 4, AMX_STEP_BYTES / 2, 0};
                        const amx_rows a = {left, left + all + j * steps * lines * 64, lines};
                        amx_multiply(steps, &a, &right, t->m - i * AMX_SIDE, t->n - (c + j) * AMX_SIDE,
                                     k > 0, to + j * AMX_SIDE, TILED_SUMS);
                    }
                    if (k + depth == t->k)
                        FN(store_tiled)(t, i * AMX_SIDE, c * AMX_SIDE, MIN(t->n, (c + width) * AMX_SIDE), to);
                }
            }
    amx_close();
}

/* C = A B by the team. */
static void FN(tiled_product)(const FN(tiled) *given) {
    FN(tiled) t = *given;
    const int64_t rows = FN(tiled_panels)(t.m), columns = FN(tiled_panels)(t.n), team = threads_count();
    if (team <= 1 || t.m * t.n * t.k / 64 < PARALLEL_FROM || rows * columns == 1) {
        FN(tiled_part)(&t, 0, rows, 0, columns);
        return;
    }
    /* By rows A is read once, but B's steps go from core to core. */
    const int by_rows = rows >= 2 * team && t.m >= 2 * t.n && t.n * t.k * (int64_t)sizeof(real) <= TILED_SHARED;
    if (!by_rows && columns >= 2 * team) {
        const int64_t blocks = (columns + TILED_COLUMNS - 1) / TILED_COLUMNS;
        const int64_t parts = MIN(columns, (blocks + team - 1) / team * team);
        PARALLEL_FOR(PARALLEL_FROM)
        for (int64_t part = 0; part < parts; part++)
            FN(tiled_part)(&t, 0, rows, columns * part / parts, columns * (part + 1) / parts);
        return;
    }
    if (!t.packed_b) {
        char *all = workspace(WORKSPACE_STRIPS, (size_t)FN(tiled_size)(t.n, t.k));
        FN(tiled_pack)(&t, 1, all);
        t.packed_b = all;
    }
    const int64_t parts = MIN(rows, 4 * team);
    PARALLEL_FOR(PARALLEL_FROM)
    for (int64_t part = 0; part < parts; part++)
        FN(tiled_part)(&t, rows * part / parts, rows * (part + 1) / parts, 0, columns);
}

/* A matrix's rows of k, `row` apart (FN(strided) as B). */
static const real *FN(read_strided_columns)(const void *source, int64_t first, int64_t count, int64_t k,
                                            int64_t depth, real *scratch, int64_t *step) {
    const FN(strided) *b = source;
    if (b->column == 1) {
        *step = b->row;
        return b->b + k * b->row + first;
    }
    *step = AMX_SIDE;
    FN(pack_strided)(b, scratch, k, depth, first, count);
    return scratch;
}

/* The time in cycles of one vector product that C takes (for each k a tile took 4 to 11 of them, as the
 * core's other thread was idle or busy); an element of A (if it is not packed beforehand) or of B
 * counts as `row` and `column`. */
static double FN(tiled_cost)(int64_t m, int64_t n, int64_t k, double row, double column) {
    const double sides = (double)((m + 15) / 16 * ((n + 15) / 16)), depth = (double)((k + 31) / 32 * 32);
    return sides * (depth * 7 + 100) + row * (double)(m * k) + column * (double)(n * k);
}
#endif
