/* The matrix product, in the manner of BLIS: a register block of TILE_ROWS × TILE_VECTORS
 * vectors, panels of A and B packed for it, blocked so that a panel of B stays near the
 * core and a block of A in the second cache. Every element of C is one chain of multiply-adds in
 * the order of k, whatever the number of threads. */

typedef real FN(vec) __attribute__((vector_size(VECTOR_LANES * sizeof(real)), aligned(sizeof(real)), may_alias));
#define VEC FN(vec)
#if REAL_IS_FLOAT
typedef int32_t FN(lanes) __attribute__((vector_size(VECTOR_LANES * sizeof(real))));
#else
typedef int64_t FN(lanes) __attribute__((vector_size(VECTOR_LANES * sizeof(real))));
#endif
#define LANES ((int64_t)VECTOR_LANES)
#define TILE_COLUMNS (TILE_VECTORS * LANES)
#define BLOCK_K 384
#define MOST_DEPTH (BLOCK_K * 3 / 2)
#define BLOCK_M (TILE_ROWS * 12)
#define BLOCK_N (TILE_COLUMNS * 64)

#if defined(__GNUC__) && !defined(__clang__)
#define ZIP(a, b, ...) __builtin_shuffle(a, b, (FN(lanes)){__VA_ARGS__})
#else
#define ZIP(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif

/* a[0], b[0], a[1], b[1] ... of the lower halves, and of the upper. */
#if VECTOR_LANES == 16
INLINE VEC FN(zip_low)(VEC a, VEC b) {
    return ZIP(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
INLINE VEC FN(zip_high)(VEC a, VEC b) {
    return ZIP(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#elif VECTOR_LANES == 8
INLINE VEC FN(zip_low)(VEC a, VEC b) { return ZIP(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
INLINE VEC FN(zip_high)(VEC a, VEC b) { return ZIP(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
#elif VECTOR_LANES == 4
INLINE VEC FN(zip_low)(VEC a, VEC b) { return ZIP(a, b, 0, 4, 1, 5); }
INLINE VEC FN(zip_high)(VEC a, VEC b) { return ZIP(a, b, 2, 6, 3, 7); }
#elif VECTOR_LANES == 2
INLINE VEC FN(zip_low)(VEC a, VEC b) { return ZIP(a, b, 0, 2); }
INLINE VEC FN(zip_high)(VEC a, VEC b) { return ZIP(a, b, 1, 3); }
#else
INLINE VEC FN(zip_low)(VEC a, VEC b) { return (void)b, a; }
INLINE VEC FN(zip_high)(VEC a, VEC b) { return (void)a, b; }
#endif

/* One of the log2(LANES) rounds of a LANES × LANES transposition: row i is zipped with row
 * i + LANES / 2. */
static inline __attribute__((always_inline)) void FN(zip)(const VEC *from, VEC *to) {
    if (LANES == 1) to[0] = from[0];
    for (int64_t i = 0; i < LANES / 2; i++) {
        to[2 * i] = FN(zip_low)(from[i], from[i + LANES / 2]);
        to[2 * i + 1] = FN(zip_high)(from[i], from[i + LANES / 2]);
    }
}

/* a's rows and columns exchanged; b is scratch. */
static inline __attribute__((always_inline)) void FN(transpose)(VEC *a, VEC *b) {
#if VECTOR_LANES == 16
    FN(zip)(a, b), FN(zip)(b, a), FN(zip)(a, b), FN(zip)(b, a);
#elif VECTOR_LANES == 8
    FN(zip)(a, b), FN(zip)(b, a), FN(zip)(a, b);
    for (int64_t i = 0; i < LANES; i++) a[i] = b[i];
#elif VECTOR_LANES == 4
    FN(zip)(a, b), FN(zip)(b, a);
#elif VECTOR_LANES == 2
    FN(zip)(a, b);
    for (int64_t i = 0; i < LANES; i++) a[i] = b[i];
#else
    (void)a, (void)b;
#endif
}

/* `rows` ≤ LANES rows (the others count as zero), from_row apart, to LANES rows, to_row apart. Where
 * to_row < LANES, a row's spare lanes are overwritten by the next, the last one's run over. */
static inline void FN(transpose_rows)(const real *from, int64_t from_row, int64_t rows, real *to,
                                      int64_t to_row) {
    VEC a[LANES], b[LANES];
#pragma GCC unroll 16
    for (int64_t i = 0; i < LANES; i++)
        a[i] = i < rows ? *(const VEC *)(from + i * from_row) : (VEC){0};
    FN(transpose)(a, b);
#pragma GCC unroll 16
    for (int64_t i = 0; i < LANES; i++) *(VEC *)(to + i * to_row) = a[i];
}

/* The first `count` lanes of a vector, from and to memory that ends behind them. */
#if defined(__AVX512F__) && REAL_IS_FLOAT
INLINE VEC FN(load_some)(const real *from, int64_t count) {
    return (VEC)_mm512_maskz_loadu_ps((__mmask16)((1 << count) - 1), from);
}
INLINE void FN(store_some)(real *to, VEC value, int64_t count) {
    _mm512_mask_storeu_ps(to, (__mmask16)((1 << count) - 1), (__m512)value);
}
#elif defined(__AVX2__) && REAL_IS_FLOAT
INLINE VEC FN(load_some)(const real *from, int64_t count) {
    const FN(lanes) first = (FN(lanes)){0, 1, 2, 3, 4, 5, 6, 7} < (int32_t)count;
    return (VEC)_mm256_maskload_ps(from, (__m256i)first);
}
INLINE void FN(store_some)(real *to, VEC value, int64_t count) { /* masked stores may be slow */
    __m128 part = _mm256_castps256_ps128((__m256)value);
    if (count == LANES) {
        *(VEC *)to = value;
        return;
    }
    if (count & 4) {
        _mm_storeu_ps(to, part);
        part = _mm256_extractf128_ps((__m256)value, 1);
        to += 4;
    }
    if (count & 2) {
        _mm_storel_pi((__m64 *)to, part);
        part = _mm_movehl_ps(part, part);
        to += 2;
    }
    if (count & 1) _mm_store_ss(to, part);
}
#else
#define TILE_REST (TILE_ROWS % VECTOR_LANES ? TILE_ROWS % VECTOR_LANES : VECTOR_LANES)
INLINE VEC FN(load_some)(const real *from, int64_t count) {
    VEC value = {0};
    if (count == LANES) return *(const VEC *)from;
    if (count == TILE_REST)
        memcpy(&value, from, sizeof(real) * TILE_REST);
    else
        for (int64_t i = 0; i < count; i++) value[i] = from[i];
    return value;
}
INLINE void FN(store_some)(real *to, VEC value, int64_t count) {
    if (count == LANES)
        *(VEC *)to = value;
    else if (count == TILE_REST)
        memcpy(to, &value, sizeof(real) * TILE_REST);
    else
        for (int64_t i = 0; i < count; i++) to[i] = value[i];
}
#undef TILE_REST
#endif

/* How a block of B (rows k..k+depth, columns j..j+width) is copied into panels of
 * TILE_COLUMNS columns, each row of a panel contiguous, the last panel padded with zeros. A
 * packer may write up to TILE_COLUMNS elements past the end. */
typedef void FN(packer)(const void *source, real *packed, int64_t k, int64_t depth, int64_t j,
                        int64_t width);

#define PLAIN 0
#define RECTIFY 1
#define ACTIVATE 2
/* epilogue_args at an element of C. */
typedef struct {
    const real *residual;               /* of that element; rows are as far apart as C's */
    const real *row_slopes, *column_slopes;
    real slope, low, high;
    int what; /* PLAIN, RECTIFY: max(v, 0), or ACTIVATE */
} FN(finish);

typedef struct {
    const real *a;
    int64_t a_row, a_column;
    int64_t image, a_image; /* each `image` of k, A goes on a_image elements further; 0: it does not */
    const real *packed_a; /* all of A by pack_all_a, or NULL: packed block by block */
    const void *b;
    FN(packer) *pack_b;
    const real *packed_b; /* all of B by pack_all_b, or NULL */
    real *c;
    int64_t m, n, k, c_row;
    real beta;
    const real *row_bias, *column_bias;
    const FN(finish) *finish; /* NULL: none */
} FN(product);

static FN(finish) FN(finish_of)(const epilogue_args *e, int channels_are_rows) {
    const int bounded = e->low > -REAL_MAX || e->high < REAL_MAX;
    FN(finish) f = {e->residual, channels_are_rows ? e->slopes : NULL,
                    channels_are_rows ? NULL : e->slopes, (real)e->slope, (real)e->low,
                    (real)e->high, PLAIN};
    if (e->activate) f.what = e->slopes || e->slope != 0 || bounded ? ACTIVATE : RECTIFY;
    return f;
}

/* Whether there is anything to do. */
INLINE int FN(finishes)(const FN(finish) *f) { return f->residual || f->what != PLAIN; }

INLINE FN(finish) FN(finish_at)(const FN(finish) *f, int64_t row, int64_t column, int64_t c_row) {
    FN(finish) at = *f;
    if (at.residual) at.residual += row * c_row + column;
    if (at.row_slopes) at.row_slopes += row;
    if (at.column_slopes) at.column_slopes += column;
    return at;
}

INLINE VEC FN(chosen)(FN(lanes) where, VEC a, VEC b) {
    return (VEC)((where & (FN(lanes))a) | (~where & (FN(lanes))b));
}

/* max(value, 0), or NaN. */
INLINE VEC FN(rectified)(VEC value) {
#if defined(__AVX512F__) && REAL_IS_FLOAT
    return (VEC)_mm512_max_ps(_mm512_setzero_ps(), (__m512)value); /* the second, if either is NaN */
#elif defined(__AVX2__) && REAL_IS_FLOAT
    return (VEC)_mm256_max_ps(_mm256_setzero_ps(), (__m256)value);
#else
    return (VEC)(~(FN(lanes))(value < (VEC){0}) & (FN(lanes))value);
#endif
}

/* Of two doubles gcc 12 cannot inline it. */
#if VECTOR_LANES == 2
static __attribute__((noinline)) VEC
#else
INLINE VEC
#endif
FN(activated)(const FN(finish) *f, VEC value, VEC slope) {
    const VEC zero = {0}, low = zero + f->low, high = zero + f->high;
    const FN(lanes) below = (FN(lanes))(value < zero);
    if (f->what == RECTIFY) return FN(rectified)(value);
    value = FN(chosen)(below, slope * value, value);
    value = FN(chosen)((FN(lanes))(value < low), low, value);
    return FN(chosen)((FN(lanes))(value > high), high, value);
}

/* A vector of row `row`, `at` elements from where `f` is. */
INLINE VEC FN(finished_vector)(const FN(finish) *f, VEC value, int64_t row, int64_t at) {
    if (f->residual) value += *(const VEC *)(f->residual + at);
    if (f->what == PLAIN) return value;
    return FN(activated)(f, value, (VEC){0} + (f->row_slopes ? f->row_slopes[row] : f->slope));
}

/* One element, `column` from where `f` is. */
INLINE real FN(finished)(const FN(finish) *f, real value, real slope, int64_t column) {
    if (f->residual) value += f->residual[column];
    if (f->column_slopes) slope = f->column_slopes[column];
    if (f->what == PLAIN) return value;
    if (value < 0) value = f->what == RECTIFY ? 0 : slope * value;
    if (f->what == RECTIFY) return value;
    return value < f->low ? f->low : value > f->high ? f->high : value;
}

/* A row of a channel's sums, which is read in whole vectors, finished and stored at element `at` of
 * y. */
static void FN(store_row)(const FN(finish) *f, int64_t channel, int64_t at, const real *row,
                          int64_t width, real *y) {
    const VEC slope = (VEC){0} + (f->row_slopes ? f->row_slopes[channel] : f->slope);
    for (int64_t i = 0; i < width; i += LANES) {
        const int64_t some = MIN(LANES, width - i);
        VEC value = *(const VEC *)(row + i);
        if (f->residual) value += FN(load_some)(f->residual + at + i, some);
        if (f->what != PLAIN) value = FN(activated)(f, value, slope);
        FN(store_some)(y + at + i, value, some);
    }
}

/* tile[TILE_ROWS][TILE_COLUMNS] = sum over depth of a-panel column times b-panel row. */
static inline __attribute__((always_inline)) void FN(multiply_tile)(
    int64_t depth, const real *a, const real *b, VEC sum[TILE_ROWS][TILE_VECTORS]) {
    for (int64_t i = 0; i < TILE_ROWS; i++)
        for (int64_t j = 0; j < TILE_VECTORS; j++) sum[i][j] = (VEC){0};
    for (int64_t k = 0; k < depth; k++) {
        VEC row[TILE_VECTORS];
        for (int64_t j = 0; j < TILE_VECTORS; j++) row[j] = *(const VEC *)(b + j * LANES);
#pragma GCC unroll 16
        for (int64_t i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
            for (int64_t j = 0; j < TILE_VECTORS; j++) sum[i][j] += a[i] * row[j];
        a += TILE_ROWS;
        b += TILE_COLUMNS;
    }
}

/* C's tile = sum + beta C + biases, finished; rows × columns of it exist. */
static void FN(tile)(int64_t depth, const real *a, const real *b, real *c, int64_t c_row,
                     real beta, const real *row_bias, const real *column_bias,
                     const FN(finish) *finish, int64_t rows, int64_t columns) {
    VEC sum[TILE_ROWS][TILE_VECTORS];
    FN(multiply_tile)(depth, a, b, sum);
    if (rows == TILE_ROWS && columns == TILE_COLUMNS && !column_bias &&
        !(finish && finish->column_slopes)) {
#pragma GCC unroll 16
        for (int64_t i = 0; i < TILE_ROWS; i++) {
            real bias = row_bias ? row_bias[i] : 0;
#pragma GCC unroll 4
            for (int64_t j = 0; j < TILE_VECTORS; j++) {
                VEC *to = (VEC *)(c + i * c_row + j * LANES);
                VEC value = sum[i][j] + bias;
                if (beta != 0) value += beta * *to;
                if (finish) value = FN(finished_vector)(finish, value, i, i * c_row + j * LANES);
                *to = value;
            }
        }
        return;
    }
    real all[TILE_ROWS][TILE_COLUMNS];
#pragma GCC unroll 16
    for (int64_t i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
        for (int64_t j = 0; j < TILE_VECTORS; j++) *(VEC *)&all[i][j * LANES] = sum[i][j];
    for (int64_t i = 0; i < rows; i++) {
        const real bias = row_bias ? row_bias[i] : 0;
        real *to = c + i * c_row;
        if (column_bias)
            for (int64_t j = 0; j < columns; j++) all[i][j] += column_bias[j];
        if (beta == 0)
            for (int64_t j = 0; j < columns; j++) to[j] = all[i][j] + bias;
        else
            for (int64_t j = 0; j < columns; j++) to[j] = all[i][j] + bias + beta * to[j];
        if (finish) {
            const FN(finish) row = FN(finish_at)(finish, i, 0, c_row);
            const real slope = row.row_slopes ? *row.row_slopes : row.slope;
            for (int64_t j = 0; j < columns; j++) to[j] = FN(finished)(&row, to[j], slope, j);
        }
    }
}

static void FN(pack_a)(const real *a, int64_t a_row, int64_t a_column, int64_t rows, int64_t depth,
                       real *packed) {
    for (int64_t i = 0; i < rows; i += TILE_ROWS, packed += TILE_ROWS * depth) {
        int64_t some = MIN(TILE_ROWS, rows - i);
        const real *from = a + i * a_row;
        if (some < TILE_ROWS) memset(packed, 0, sizeof(real) * TILE_ROWS * depth);
        if (a_row == 1)
            for (int64_t k = 0; k < depth; k++)
                for (int64_t r = 0; r < some; r++)
                    packed[k * TILE_ROWS + r] = from[r + k * a_column];
        else {
            int64_t k = 0;
            if (a_column == 1 && TILE_ROWS <= LANES)
                for (; k + LANES <= depth; k += LANES)
                    FN(transpose_rows)(from + k, a_row, some, packed + k * TILE_ROWS, TILE_ROWS);
            for (int64_t r = 0; r < some; r++)
                for (int64_t d = k; d < depth; d++)
                    packed[d * TILE_ROWS + r] = from[r * a_row + d * a_column];
        }
    }
}

/* The depth of k's blocks: they are alike, and a short rest is nobody's block. */
static inline int64_t FN(block_depth)(int64_t k) {
    const int64_t blocks = MAX(1, (k + BLOCK_K / 2) / BLOCK_K);
    return (k + blocks - 1) / blocks;
}

static inline int64_t FN(padded_rows)(int64_t m) { return (m + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS; }

static inline int64_t FN(packed_size)(int64_t m, int64_t k) { return FN(padded_rows)(m) * k + LANES; }

/* All of A (m × k) at once, for products that share it; packed_size(m, k) elements. */
static void FN(pack_all_a)(const real *a, int64_t a_row, int64_t a_column, int64_t m, int64_t k,
                           real *packed) {
    const int64_t block = FN(block_depth)(k);
    for (int64_t kc = 0; kc < k; kc += block)
        FN(pack_a)(a + kc * a_column, a_row, a_column, m, MIN(block, k - kc),
                   packed + kc * FN(padded_rows)(m));
}

typedef struct { const real *b; int64_t row, column; } FN(strided);

static void FN(pack_strided)(const void *source, real *packed, int64_t k, int64_t depth, int64_t j,
                             int64_t width) {
    const FN(strided) *s = source;
    if (s->column == 1) { /* some panels at once: longer runs of each row */
        for (int64_t at = 0; at < width; at += 4 * TILE_COLUMNS)
            for (int64_t d = 0; d < depth; d++) {
                const real *from = s->b + (k + d) * s->row + j;
                for (int64_t i = at; i < MIN(width, at + 4 * TILE_COLUMNS); i += TILE_COLUMNS) {
                    real *to = packed + i * depth + d * TILE_COLUMNS;
                    if (width - i >= TILE_COLUMNS)
                        memcpy(to, from + i, sizeof(real) * TILE_COLUMNS);
                    else
                        for (int64_t c = 0; c < TILE_COLUMNS; c++)
                            to[c] = i + c < width ? from[i + c] : 0;
                }
            }
        return;
    }
    for (int64_t at = 0; at < width; at += TILE_COLUMNS, packed += TILE_COLUMNS * depth) {
        int64_t some = MIN(TILE_COLUMNS, width - at);
        const real *from = s->b + k * s->row + (j + at) * s->column;
        if (some < TILE_COLUMNS) memset(packed, 0, sizeof(real) * TILE_COLUMNS * depth);
        int64_t d = 0;
        if (s->row == 1 && some == TILE_COLUMNS)
            for (; d + LANES <= depth; d += LANES)
                for (int64_t i = 0; i < TILE_COLUMNS; i += LANES)
                    FN(transpose_rows)(from + i * s->column + d, s->column, LANES,
                                       packed + d * TILE_COLUMNS + i, TILE_COLUMNS);
        for (int64_t i = 0; i < some; i++)
            for (int64_t e = d; e < depth; e++)
                packed[e * TILE_COLUMNS + i] = from[e * s->row + i * s->column];
    }
}

/* All of B (k × n): panel after panel, each with all of k; panels_size(n, k) elements. */
static int64_t FN(panels_of)(int64_t n) { return (n + TILE_COLUMNS - 1) / TILE_COLUMNS; }
static int64_t FN(packed_b_size)(int64_t n, int64_t k) {
    return (FN(panels_of)(n) * k + 1) * TILE_COLUMNS;
}
static void FN(pack_all_b)(const void *b, FN(packer) *pack, int64_t n, int64_t k, real *packed) {
    PARALLEL_FOR(n * k)
    for (int64_t panel = 0; panel < FN(panels_of)(n); panel++) {
        /* A packer may run over: the panel behind is another thread's. */
        real *scratch = workspace(WORKSPACE_PACK_B, sizeof(real) * (size_t)((k + 1) * TILE_COLUMNS));
        const int64_t j = panel * TILE_COLUMNS;
        for (int64_t kc = 0; kc < k; kc += BLOCK_K)
            pack(b, scratch + kc * TILE_COLUMNS, kc, MIN(BLOCK_K, k - kc), j, MIN(TILE_COLUMNS, n - j));
        memcpy(packed + j * k, scratch, sizeof(real) * (size_t)(k * TILE_COLUMNS));
    }
}

/* Rows i0 ... i0 + rows - 1 of A's block of k: panel by panel, image by image, as packing runs
 * over. */
static void FN(pack_block)(const FN(product) *p, int64_t i0, int64_t rows, int64_t kc,
                           int64_t depth, real *packed) {
    const int64_t image = p->image ? p->image : p->k;
    for (int64_t i = 0; i < rows; i += TILE_ROWS)
        for (int64_t k = kc, some; k < kc + depth; k += some, packed += TILE_ROWS * some) {
            some = MIN(kc + depth - k, image - k % image);
            FN(pack_a)(p->a + (i0 + i) * p->a_row + k / image * p->a_image + k % image * p->a_column,
                       p->a_row, p->a_column, MIN(TILE_ROWS, rows - i), some, packed);
        }
}

/* One thread's product over rows i0..i1 and columns j0..j1 of C. */
static void FN(product_part)(const FN(product) *p, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
    real *packed_a = workspace(WORKSPACE_PACK_A, sizeof(real) * (BLOCK_M * MOST_DEPTH + LANES));
    real *packed_b = workspace(WORKSPACE_PACK_B, sizeof(real) * (BLOCK_N * MOST_DEPTH + TILE_COLUMNS));
    const int64_t most = FN(block_depth)(p->k);
    for (int64_t jc = j0; jc < j1; jc += BLOCK_N) {
        int64_t width = MIN(BLOCK_N, j1 - jc);
        for (int64_t kc = 0; kc < p->k; kc += most) {
            int64_t depth = MIN(most, p->k - kc);
            int last = kc + depth == p->k;
            real beta = kc == 0 ? p->beta : 1;
            if (!p->packed_b) p->pack_b(p->b, packed_b, kc, depth, jc, width);
            for (int64_t ic = i0; ic < i1; ic += BLOCK_M) {
                int64_t rows = MIN(BLOCK_M, i1 - ic);
                const real *block = packed_a;
                if (p->packed_a)
                    block = p->packed_a + kc * FN(padded_rows)(p->m) + ic * depth;
                else
                    FN(pack_block)(p, ic, rows, kc, depth, packed_a);
                /* A tile's rows of C follow one another where there is little else to do. */
                const int by_rows = depth <= 64;
                const int64_t row_tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
                const int64_t column_tiles = (width + TILE_COLUMNS - 1) / TILE_COLUMNS;
                for (int64_t tile = 0; tile < row_tiles * column_tiles; tile++) {
                    const int64_t i = (by_rows ? tile / column_tiles : tile % row_tiles) * TILE_ROWS;
                    const int64_t j =
                        (by_rows ? tile % column_tiles : tile / row_tiles) * TILE_COLUMNS;
                    const real *panel = p->packed_b
                                            ? p->packed_b + (jc + j) * p->k + kc * TILE_COLUMNS
                                            : packed_b + j * depth;
                    FN(finish) finish;
                    if (last && p->finish)
                        finish = FN(finish_at)(p->finish, ic + i, jc + j, p->c_row);
                    FN(tile)(depth, block + i * depth, panel, p->c + (ic + i) * p->c_row + jc + j,
                             p->c_row, beta, last && p->row_bias ? p->row_bias + ic + i : NULL,
                             last && p->column_bias ? p->column_bias + jc + j : NULL,
                             last && p->finish ? &finish : NULL, MIN(TILE_ROWS, rows - i),
                             MIN(TILE_COLUMNS, width - j));
                }
            }
        }
    }
}

/* The product on this thread alone. */
static void FN(product_alone)(const FN(product) *p) { FN(product_part)(p, 0, p->m, 0, p->n); }

/* The product, its columns (or rows, if there are more tiles of them) shared among the team. */
static void FN(product_shared)(const FN(product) *p) {
    int64_t column_tiles = (p->n + TILE_COLUMNS - 1) / TILE_COLUMNS;
    int64_t row_tiles = (p->m + TILE_ROWS - 1) / TILE_ROWS;
    int by_columns = column_tiles >= row_tiles;
    int64_t tiles = by_columns ? column_tiles : row_tiles;
    int64_t step = by_columns ? TILE_COLUMNS : TILE_ROWS;
    int64_t parts = MIN(tiles, (int64_t)threads_count());
    if (p->m * p->n * p->k / 16 < PARALLEL_FROM || parts <= 1) {
        FN(product_alone)(p);
        return;
    }
    PARALLEL_FOR(PARALLEL_FROM)
    for (int64_t part = 0; part < parts; part++) {
        int64_t from = tiles * part / parts * step, to = tiles * (part + 1) / parts * step;
        if (by_columns)
            FN(product_part)(p, 0, p->m, from, MIN(to, p->n));
        else
            FN(product_part)(p, from, MIN(to, p->m), 0, p->n);
    }
}
