/* The product of two matrices as a kernel: few rows as dot products of rows that lie as they are
 * read, which takes no longer than reading B once; else by blocks (gemm.c). */

/* ---- dot products ----------------------------------------------------------------------------- */

#define DOT_MOST (TILE_ROWS * TILE_VECTORS / 4)
#define DOT_A (DOT_MOST > 6 ? 6 : DOT_MOST) /* rows of A of a block */
#define DOT_B 4                             /* rows of B: columns of C */
#define DOTS_ROWS 32                        /* of A, for which this pays; twice as many, if B is large */

/* The sums of the lanes of `count` ≤ LANES vectors. Lanes are added in their order. */
INLINE VEC FN(sums_of_lanes)(const VEC *vectors, int count) {
    VEC a[LANES], b[LANES], sum = {0};
#pragma GCC unroll 16
    for (int i = 0; i < VECTOR_LANES; i++) a[i] = i < count ? vectors[i] : (VEC){0};
    FN(transpose)(a, b);
#pragma GCC unroll 16
    for (int i = 0; i < VECTOR_LANES; i++) sum += a[i];
    return sum;
}

/* to[i * DOT_B + j] = row i of a times row j of b. */
INLINE void FN(dot_block)(int rows, int64_t k, const real *a, int64_t a_row, const real *b,
                          int64_t b_row, real *to) {
    enum { MOST = (DOT_A * DOT_B + VECTOR_LANES - 1) / VECTOR_LANES * VECTOR_LANES };
    VEC sum[MOST];
#pragma GCC unroll 32
    for (int i = 0; i < rows * DOT_B; i++) sum[i] = (VEC){0};
    int64_t at = 0;
    for (; at + LANES <= k; at += LANES) {
        VEC row[DOT_B];
#pragma GCC unroll 4
        for (int j = 0; j < DOT_B; j++) {
            row[j] = *(const VEC *)(b + j * b_row + at);
            __builtin_prefetch(b + j * b_row + at + 1024 / sizeof(real));
        }
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            const VEC left = *(const VEC *)(a + i * a_row + at);
#pragma GCC unroll 4
            for (int j = 0; j < DOT_B; j++) sum[i * DOT_B + j] += left * row[j];
        }
    }
    if (at < k)
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < DOT_B; j++)
                sum[i * DOT_B + j] += FN(load_some)(a + i * a_row + at, k - at) *
                                      FN(load_some)(b + j * b_row + at, k - at);
#pragma GCC unroll 32
    for (int i = 0; i < rows * DOT_B; i += VECTOR_LANES)
        *(VEC *)(to + i) = FN(sums_of_lanes)(sum + i, MIN(VECTOR_LANES, rows * DOT_B - i));
}

#include "short_weights.c"

/* Rows of a product, and rows of B: of real, or short ones. */
typedef struct {
    int64_t k, a_row, b_row;
    const real *a, *b;
    const uint8_t *shorter;
} FN(dot_rows);

#if HAS_SHORT
#define SHORT_DOTS(rows)                                                             \
    if (d->shorter) {                                                                \
        FN(short_block)(MIN(rows, DOT_A), d->k, d->a, d->a_row, d->shorter, to);     \
        break;                                                                       \
    }
#else
#define SHORT_DOTS(rows)
#endif
#define DOTS(rows)                                                                   \
    case rows:                                                                       \
        SHORT_DOTS(rows)                                                             \
        FN(dot_block)(MIN(rows, DOT_A), d->k, d->a, d->a_row, d->b, d->b_row, to);   \
        break;
static void FN(dots_of_rows)(int64_t rows, const FN(dot_rows) *d, real *to) {
    switch (rows) {
        DOTS(1)
#if TILE_ROWS * TILE_VECTORS >= 8
        DOTS(2)
#endif
#if TILE_ROWS * TILE_VECTORS >= 12
        DOTS(3)
#endif
#if TILE_ROWS * TILE_VECTORS >= 24
        DOTS(4) DOTS(5) DOTS(6)
#endif
    }
}
#undef DOTS
#undef SHORT_DOTS

/* Whether C's elements are few dot products of rows that lie as they are read. */
INLINE int FN(is_of_dots)(const matmul_args *a) {
    return (a->m <= DOTS_ROWS || (a->m <= 2 * DOTS_ROWS && a->n * a->k >= 1 << 20)) &&
           a->b_row == 1 && a->a_column == 1 && !a->row_bias &&
           a->n >= DOT_B && a->k > 0;
}

static void FN(dots)(const matmul_args *s, const FN(finish) *finish) {
    const int64_t blocks = (s->n + DOT_B - 1) / DOT_B, parts = (s->m + DOT_A - 1) / DOT_A;
    const real *bias = s->column_bias, beta = (real)s->beta;
    const uint8_t *shorter = NULL;
    const real *a = s->a;
    int64_t a_row = s->a_row;
#if HAS_SHORT
    if (FN(short_pays)(s) && s->packed) {
        shorter = s->packed;
        a = FN(scaled_rows)(s);
        a_row = s->k;
    }
#endif
    PARALLEL_FOR(s->n * s->k)
    for (int64_t block = 0; block < blocks; block++) {
        /* The last block begins earlier, so that all its rows exist. */
        const int64_t first = block * DOT_B, j0 = MIN(first, s->n - DOT_B);
        for (int64_t part = 0; part < parts; part++) {
            const int64_t from = s->m * part / parts, end = s->m * (part + 1) / parts;
            real sums[DOT_A * DOT_B + LANES];
            const FN(dot_rows) d = {s->k, a_row, s->b_column, a + from * a_row,
                                    (const real *)s->b + j0 * s->b_column,
                                    shorter ? shorter + j0 * FN(short_row)(s->k) : NULL};
            FN(dots_of_rows)(end - from, &d, sums);
            for (int64_t i = from; i < end; i++)
                for (int64_t j = first; j < MIN(s->n, first + DOT_B); j++) {
                    real *to = (real *)s->c + i * s->c_row + j;
                    const FN(finish) here = FN(finish_at)(finish, i, j, s->c_row);
                    real sum = sums[(i - from) * DOT_B + j - j0];
                    if (bias) sum += bias[j];
                    if (beta != 0) sum += beta * *to;
                    *to = FN(finished)(&here, sum, here.slope, 0);
                }
        }
    }
}

/* ---- tiles ------------------------------------------------------------------------------------ */

#if defined(__AVX512F__) && REAL_IS_FLOAT
static int FN(tiled_matmul_pays)(const matmul_args *s) {
    if (!s->tiles || !amx_supported() || s->a_column != 1) return 0;
    return FN(tiled_cost)(s->m, s->n, s->k, 1.5, 0) < (double)(s->m * s->n) * (double)s->k / 13;
}

static void FN(tiled_matmul)(const matmul_args *s, const FN(finish) *finish) {
    const FN(tiled) t = {.a = s->a, .a_row = s->a_row, .packed_b = FN(aligned)(s->packed), .m = s->m,
                         .n = s->n, .k = s->k, .c = s->c, .c_row = s->c_row, .plane = s->n,
                         .beta = (real)s->beta, .row_bias = s->row_bias, .column_bias = s->column_bias,
                         .finish = finish};
    FN(tiled_product)(&t);
}

static int64_t FN(tiled_matmul_pack)(const matmul_args *s, void *packed) {
    const FN(strided) b = {s->b, s->b_row, s->b_column};
    const FN(tiled) t = {.columns = FN(read_strided_columns), .b = &b, .n = s->n, .k = s->k};
    if (packed) FN(tiled_pack)(&t, 1, FN(aligned)(packed));
    return 64 + FN(tiled_size)(s->n, s->k);
}
#else
static int FN(tiled_matmul_pays)(const matmul_args *s) { return (void)s, 0; }
static void FN(tiled_matmul)(const matmul_args *s, const FN(finish) *finish) { (void)s, (void)finish; }
static int64_t FN(tiled_matmul_pack)(const matmul_args *s, void *packed) { return (void)s, (void)packed, 0; }
#endif

/* ---- the kernels --------------------------------------------------------------------------------- */

KERNEL(matmul_pack) {
    ARGS(matmul_pack);
    const matmul_args *s = &a->shape;
    int64_t *size = a->size;
    size[0] = size[1] = 0;
#if HAS_SHORT
    if (FN(is_of_dots)(s) && FN(short_pays)(s)) {
        size[0] = s->n * FN(short_row)(s->k) + s->k * (int64_t)sizeof(real);
        size[1] = 3;
        if (a->packed) FN(shorten)(s, a->packed);
        return;
    }
#endif
    if (FN(is_of_dots)(s) || s->k == 0 || s->n == 0) return;
    if (FN(tiled_matmul_pays)(s)) {
        size[0] = FN(tiled_matmul_pack)(s, a->packed);
        size[1] = 2;
        return;
    }
    size[0] = FN(packed_b_size)(s->n, s->k) * (int64_t)sizeof(real);
    size[1] = 1;
    FN(strided) b = {s->b, s->b_row, s->b_column};
    if (a->packed) FN(pack_all_b)(&b, FN(pack_strided), s->n, s->k, a->packed);
}

KERNEL(matmul) {
    ARGS(matmul);
    TINY_IS_ZERO;
    if (a->m == 0 || a->n == 0) return;
    const real *left = a->a, *right = a->b;
    real *c = a->c;
    const FN(finish) finish = FN(finish_of)(&a->store, 0);
    if (FN(is_of_few_rows)(a)) {
        FN(few_rows_product)(a, &finish);
        return;
    }
    if (FN(is_of_dots)(a)) {
        FN(dots)(a, &finish);
        return;
    }
    if (a->packed && a->k > 0 && FN(tiled_matmul_pays)(a)) {
        FN(tiled_matmul)(a, FN(finishes)(&finish) ? &finish : NULL);
        return;
    }
    FN(strided) b = {right, a->b_row, a->b_column};
    FN(product) p = {.a = left, .a_row = a->a_row, .a_column = a->a_column, .b = &b,
                     .pack_b = FN(pack_strided), .packed_b = a->packed, .c = c, .m = a->m,
                     .n = a->n, .k = a->k, .c_row = a->c_row, .beta = (real)a->beta,
                     .row_bias = a->row_bias, .column_bias = a->column_bias,
                     .finish = FN(finishes)(&finish) ? &finish : NULL};
    if (a->k == 0) { /* an empty sum: beta C and the biases remain */
        for (int64_t i = 0; i < a->m; i++)
            for (int64_t j = 0; j < a->n; j++) {
                real *to = c + i * a->c_row + j;
                const FN(finish) here = FN(finish_at)(&finish, i, j, a->c_row);
                *to = FN(finished)(&here, (a->beta == 0 ? 0 : (real)a->beta * *to) +
                                              (p.row_bias ? p.row_bias[i] : 0) +
                                              (p.column_bias ? p.column_bias[j] : 0),
                                   here.slope, 0);
            }
        return;
    }
    FN(product_shared)(&p);
}
