/* Weights of 20 bits, for products of few rows, which take as long as reading the weights: SHORT_BLOCK
 * of a row as whole numbers of at most 2^19 - 1 times a factor, so that each errs by at most 2^-20 of
 * the largest. Inputs that differ in scale have weights that do, so columns are brought to one scale
 * first, by powers of two that inputs are multiplied by. Two vectors of numbers are LANES upper 16
 * bits each, then LANES bytes with the lower 4 of both. A row has its numbers, then its factors;
 * behind all rows are the columns' scales. */

#define SHORT_BLOCK 256
#define SHORT_MOST 524287

#undef HAS_SHORT
#if defined(__AVX512F__) && REAL_IS_FLOAT
#define HAS_SHORT 1
INLINE void FN(load_short)(const uint8_t *from, VEC *first, VEC *second) {
    const __m512i upper = _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)from));
    const __m512i next = _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(from + 32)));
    const __m512i lower = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(from + 64)));
    *first = (VEC)_mm512_cvtepi32_ps(_mm512_or_si512(
        _mm512_slli_epi32(upper, 4), _mm512_and_si512(lower, _mm512_set1_epi32(15))));
    *second = (VEC)_mm512_cvtepi32_ps(
        _mm512_or_si512(_mm512_slli_epi32(next, 4), _mm512_srli_epi32(lower, 4)));
}
#elif defined(__AVX2__) && REAL_IS_FLOAT
#define HAS_SHORT 1
INLINE void FN(load_short)(const uint8_t *from, VEC *first, VEC *second) {
    const __m256i upper = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)from));
    const __m256i next = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(from + 16)));
    const __m256i lower = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(from + 32)));
    *first = (VEC)_mm256_cvtepi32_ps(_mm256_or_si256(
        _mm256_slli_epi32(upper, 4), _mm256_and_si256(lower, _mm256_set1_epi32(15))));
    *second = (VEC)_mm256_cvtepi32_ps(
        _mm256_or_si256(_mm256_slli_epi32(next, 4), _mm256_srli_epi32(lower, 4)));
}
#else
#define HAS_SHORT 0
#endif

/* Whether reading B takes longer than what is done with it, and it may be rounded. */
INLINE int FN(short_pays)(const matmul_args *s) {
    return HAS_SHORT && s->rounds && s->m <= 8 && s->n * s->k >= 1 << 19;
}

INLINE int64_t FN(short_blocks)(int64_t k) { return (k + SHORT_BLOCK - 1) / SHORT_BLOCK; }

/* Bytes of a row. */
INLINE int64_t FN(short_row)(int64_t k) {
    return FN(short_blocks)(k) * (SHORT_BLOCK * 5 / 2 + (int64_t)sizeof(real));
}

#if HAS_SHORT
/* The largest of each column first … end - 1, as the power of two that is not less; or 1. */
static void FN(column_scales)(const matmul_args *s, int64_t first, int64_t end, real *scales) {
    for (int64_t i = first; i < end; i++) scales[i] = 0;
    for (int64_t j = 0; j < s->n; j++) {
        const real *row = (const real *)s->b + j * s->b_column;
        for (int64_t i = first; i < end; i++)
            scales[i] = fabsf(row[i]) > scales[i] ? fabsf(row[i]) : scales[i];
    }
    for (int64_t i = first; i < end; i++) {
        int exponent;
        frexpf(scales[i], &exponent);
        scales[i] = scales[i] > 0 && isfinite(scales[i]) ? ldexpf(1, MIN(126, MAX(-126, exponent))) : 1;
    }
}

/* Up to SHORT_BLOCK elements by their columns' scales; returns their factor: NaN if one is no number. */
static real FN(shorten_block)(const real *from, const real *scales, int64_t count, uint8_t *to) {
    union { real value[SHORT_BLOCK]; uint32_t bits[SHORT_BLOCK]; int32_t number[SHORT_BLOCK]; } of = {{0}};
    for (int64_t i = 0; i < count; i++) of.value[i] = from[i] / scales[i];
    uint32_t greatest = 0;
    for (int64_t i = 0; i < SHORT_BLOCK; i++) greatest = MAX(greatest, of.bits[i] & 0x7fffffff);
    real most;
    memcpy(&most, &greatest, sizeof most);
    const real factor = most < 1e-30f ? 0 : most / SHORT_MOST, scale = factor > 0 ? SHORT_MOST / most : 0;
    if (!isfinite(most)) return (real)NAN;
    const real nearest = 3 << 22; /* sums with it are rounded to whole numbers */
    for (int64_t i = 0; i < SHORT_BLOCK; i++) of.value[i] = of.value[i] * scale + nearest;
    for (int64_t i = 0; i < SHORT_BLOCK; i++) of.number[i] -= 0x4b400000; /* its bits */
    for (int64_t at = 0; at < SHORT_BLOCK; at += 2 * LANES, to += 5 * LANES)
        for (int64_t i = 0; i < LANES; i++) {
            const int32_t first = of.number[at + i], second = of.number[at + LANES + i];
            const int16_t upper[2] = {(int16_t)(first >> 4), (int16_t)(second >> 4)};
            memcpy(to + 2 * i, &upper[0], 2);
            memcpy(to + 2 * LANES + 2 * i, &upper[1], 2);
            to[4 * LANES + i] = (uint8_t)((first & 15) | (second & 15) << 4);
        }
    return factor;
}

INLINE real *FN(short_scales)(const matmul_args *s, const void *packed) {
    return (real *)((uintptr_t)packed + (size_t)(s->n * FN(short_row)(s->k)));
}

/* B's columns as rows of short weights. */
static void FN(shorten)(const matmul_args *s, uint8_t *packed) {
    const int64_t row = FN(short_row)(s->k), blocks = FN(short_blocks)(s->k);
    real *scales = FN(short_scales)(s, packed);
    PARALLEL_FOR(s->n * s->k)
    for (int64_t b = 0; b < blocks; b++)
        FN(column_scales)(s, b * SHORT_BLOCK, MIN(s->k, (b + 1) * SHORT_BLOCK), scales);
    PARALLEL_FOR(s->n * s->k)
    for (int64_t j = 0; j < s->n; j++) {
        uint8_t *to = packed + j * row;
        real *factors = (real *)(to + blocks * SHORT_BLOCK * 5 / 2);
        const real *from = (const real *)s->b + j * s->b_column;
        for (int64_t b = 0, at = 0; b < blocks; b++, at += SHORT_BLOCK)
            factors[b] = FN(shorten_block)(from + at, scales + at, MIN(SHORT_BLOCK, s->k - at),
                                           to + at * 5 / 2);
    }
}

/* A's rows as the packed B takes them, k apart. */
static const real *FN(scaled_rows)(const matmul_args *s) {
    const real *scales = FN(short_scales)(s, s->packed);
    real *scaled = workspace(WORKSPACE_PACK_A, sizeof(real) * (size_t)(s->m * s->k));
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t k = 0; k < s->k; k++)
            scaled[i * s->k + k] = ((const real *)s->a)[i * s->a_row + k] * scales[k];
    return scaled;
}

/* to[i * DOT_B + j] = row i of a times row j of b, rows of short weights. */
INLINE void FN(short_block)(int rows, int64_t k, const real *a, int64_t a_row, const uint8_t *b,
                            real *to) {
    enum { MOST = (DOT_A * DOT_B + VECTOR_LANES - 1) / VECTOR_LANES * VECTOR_LANES };
    const int64_t b_row = FN(short_row)(k), factors = FN(short_blocks)(k) * SHORT_BLOCK * 5 / 2;
    VEC sum[MOST];
#pragma GCC unroll 32
    for (int i = 0; i < rows * DOT_B; i++) sum[i] = (VEC){0};
    for (int64_t block = 0; block * SHORT_BLOCK < k; block++) {
        const int64_t end = MIN(k, (block + 1) * SHORT_BLOCK);
        VEC factor[DOT_B];
#pragma GCC unroll 4
        for (int j = 0; j < DOT_B; j++)
            factor[j] = (VEC){0} + ((const real *)(b + j * b_row + factors))[block];
        for (int64_t at = block * SHORT_BLOCK; at < end; at += 2 * LANES) {
            const int whole = at + 2 * LANES <= end;
            VEC row[2][DOT_B];
#pragma GCC unroll 4
            for (int j = 0; j < DOT_B; j++) {
                const uint8_t *from = b + j * b_row + at * 5 / 2;
                FN(load_short)(from, &row[0][j], &row[1][j]);
                __builtin_prefetch(from + 1024);
                row[0][j] *= factor[j];
                row[1][j] *= factor[j];
            }
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++) {
                const real *from = a + i * a_row + at;
                const VEC left = whole ? *(const VEC *)from : FN(load_some)(from, MIN(LANES, end - at));
                const VEC right = whole ? *(const VEC *)(from + LANES)
                                        : FN(load_some)(from + LANES, MAX(0, end - at - LANES));
#pragma GCC unroll 4
                for (int j = 0; j < DOT_B; j++) {
                    sum[i * DOT_B + j] += left * row[0][j];
                    sum[i * DOT_B + j] += right * row[1][j];
                }
            }
        }
    }
#pragma GCC unroll 32
    for (int i = 0; i < rows * DOT_B; i += VECTOR_LANES)
        *(VEC *)(to + i) = FN(sums_of_lanes)(sum + i, MIN(VECTOR_LANES, rows * DOT_B - i));
}
#endif
