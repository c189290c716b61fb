/* The tile instructions themselves: see amx.h. */
#define _GNU_SOURCE
#include "amx.h"

#if defined(__clang__)
#define COMPILES_TILES (__clang_major__ >= 12)
#else
#define COMPILES_TILES (__GNUC__ >= 11)
#endif
#if defined(__x86_64__) && defined(__linux__) && COMPILES_TILES
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16,prefer-vector-width=512")
#endif
#include <cpuid.h>
#include <immintrin.h>

enum { TILE_BYTES = 1024, ROW_BYTES = 64 };

static int granted(void) {
    unsigned a, b, c, d;
    const unsigned bf16 = 1u << 22, tile = 1u << 24;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (bf16 | tile)) != (bf16 | tile)) return 0;
    /* Linux gives the tiles' state to those who ask for it: ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA. */
    return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}

int amx_supported(void) {
    static atomic_int known = -1;
    if (known < 0) known = granted();
    return known;
}

void amx_open(void) {
    static const struct { uint8_t palette, start, none[14]; uint16_t bytes[16]; uint8_t rows[16]; } tiles = {
        .palette = 1,
        .bytes = {64, 64, 64, 64, 64, 64, 64, 64},
        .rows = {16, 16, 16, 16, 16, 16, 16, 16},
    };
    _tile_loadconfig(&tiles);
}

void amx_close(void) { _tile_release(); }

/* v rounded to bfloat16, as a float. */
static inline __m512i rounded(__m512i v) {
    return _mm512_and_si512(_mm512_add_epi32(v, _mm512_set1_epi32(0x8000)),
                            _mm512_set1_epi32((int)0xffff0000));
}

static inline __m512i rest(__m512 v, __m512i high) {
    return rounded(_mm512_castps_si512(_mm512_sub_ps(v, _mm512_castsi512_ps(high))));
}

/* Lanes of `even` and `odd` side by side: what bfloat16 pairs are. */
static inline __m512i pairs(__m512i even, __m512i odd) {
    return _mm512_or_si512(_mm512_srli_epi32(even, 16), odd);
}

static inline __mmask16 first_lanes(int64_t count) {
    return (__mmask16)(count >= 16 ? 0xffff : count <= 0 ? 0 : (1 << count) - 1);
}

void amx_split_rows(const float *from, int64_t row_step, int64_t rows, int64_t depth, void *steps) {
    /* Of 32 floats the even and the odd ones: then a row is split as a pair of columns is. */
    const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_or_si512(even, _mm512_set1_epi32(1));
    char *to = steps;
    for (int64_t k = 0; k < depth; k += AMX_DEPTH, to += AMX_STEP_BYTES) {
        const __mmask16 first = first_lanes(depth - k), second = first_lanes(depth - k - 16);
        for (int64_t i = 0; i < AMX_SIDE; i++) {
            char *row = to + i * ROW_BYTES;
            __m512i high = _mm512_setzero_si512(), low = high;
            if (i < rows) {
                const float *at = from + i * row_step + k;
                const __m512 v = _mm512_maskz_loadu_ps(first, at), w = _mm512_maskz_loadu_ps(second, at + 16);
                const __m512 p = _mm512_permutex2var_ps(v, even, w), q = _mm512_permutex2var_ps(v, odd, w);
                const __m512i a = rounded(_mm512_castps_si512(p)), b = rounded(_mm512_castps_si512(q));
                high = pairs(a, b);
                low = pairs(rest(p, a), rest(q, b));
            }
            _mm512_store_si512(row, high);
            _mm512_store_si512(row + 2 * TILE_BYTES, low);
        }
    }
}

/* One pair of k for 16 columns. */
static inline void split_pair(__m512 p, __m512 q, char *to) {
    const __m512i a = rounded(_mm512_castps_si512(p)), b = rounded(_mm512_castps_si512(q));
    _mm512_store_si512(to, pairs(a, b));
    _mm512_store_si512(to + 2 * TILE_BYTES, pairs(rest(p, a), rest(q, b)));
}

void amx_split_columns(const float *from, int64_t row_step, int64_t depth, int64_t columns,
                       void *steps) {
    const __mmask16 first = first_lanes(columns), second = first_lanes(columns - 16);
    char *to = steps;
    for (int64_t k = 0; k < depth; k += AMX_DEPTH, to += AMX_STEP_BYTES)
        for (int64_t pair = 0; pair < AMX_DEPTH / 2; pair++) {
            const int64_t at = k + 2 * pair;
            const float *even = from + at * row_step, *odd = even + row_step;
            const __mmask16 e = at < depth ? 0xffff : 0, o = at + 1 < depth ? 0xffff : 0;
            split_pair(_mm512_maskz_loadu_ps(first & e, even), _mm512_maskz_loadu_ps(first & o, odd),
                       to + pair * ROW_BYTES);
            split_pair(_mm512_maskz_loadu_ps(second & e, even + 16),
                       _mm512_maskz_loadu_ps(second & o, odd + 16),
                       to + TILE_BYTES + pair * ROW_BYTES);
        }
}

#define LEFT(tile, part, row) _tile_loadd(tile, left + ((part) * 2 + (row)) * TILE_BYTES, ROW_BYTES)
#define RIGHT(tile, part, column) \
    _tile_loadd(tile, right + (part) * b->low + (column) * b->second, b->row)
#define SUM(row, column) (sums + (row) * 16 * sums_row + (column) * 16)
#define TAKE(tile, row, column) _tile_loadd(tile, SUM(row, column), sums_row * sizeof(float))
#define ADD_FOUR                                              \
    do {                                                      \
        _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(2, 5, 6);     \
        _tile_dpbf16ps(1, 4, 7); _tile_dpbf16ps(3, 5, 7);     \
    } while (0)
#define KEEP(tile, row, column) _tile_stored(tile, SUM(row, column), sums_row * sizeof(float))

static inline const char *prefetch_rows(const amx_rows *a, const char *next) {
    for (int64_t line = 0; line < a->lines; line++, next += ROW_BYTES) _mm_prefetch(next, _MM_HINT_T1);
    return next;
}

static inline __attribute__((always_inline)) void prefetch_columns(const amx_columns *b, const char *right) {
    right += b->ahead;
#pragma GCC unroll 16
    for (int row = 0; row < 16; row++, right += b->row) {
        _mm_prefetch(right, _MM_HINT_T0);
        _mm_prefetch(right + b->second, _MM_HINT_T0);
        _mm_prefetch(right + b->low, _MM_HINT_T0);
        _mm_prefetch(right + b->low + b->second, _MM_HINT_T0);
    }
}

/* Four sums, so that none waits for itself. */
static void multiply_2_2(int64_t steps, const amx_rows *a, const amx_columns *b, int on, float *sums,
                         int64_t sums_row) {
    const char *left = a->steps, *next = a->next;
    if (on) {
        TAKE(0, 0, 0); TAKE(1, 0, 1); TAKE(2, 1, 0); TAKE(3, 1, 1);
    } else {
        _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
    }
    for (int64_t s = 0; s < steps; s++, left += AMX_STEP_BYTES) {
        const char *right = b->start + b->at[s];
        next = prefetch_rows(a, next);
        if (b->ahead) prefetch_columns(b, right);
        LEFT(4, 0, 0); LEFT(5, 0, 1); RIGHT(6, 0, 0); RIGHT(7, 0, 1);
        ADD_FOUR;
        RIGHT(6, 1, 0); RIGHT(7, 1, 1);
        ADD_FOUR;
        LEFT(4, 1, 0); LEFT(5, 1, 1); RIGHT(6, 0, 0); RIGHT(7, 0, 1);
        ADD_FOUR;
    }
    KEEP(0, 0, 0); KEEP(1, 0, 1); KEEP(2, 1, 0); KEEP(3, 1, 1);
}

/* Two sums, of one tile of rows or of columns. */
static void multiply_1_2(int64_t steps, const amx_rows *a, const amx_columns *b, int on, float *sums,
                         int64_t sums_row) {
    const char *left = a->steps, *next = a->next;
    if (on) {
        TAKE(0, 0, 0); TAKE(1, 0, 1);
    } else {
        _tile_zero(0); _tile_zero(1);
    }
    for (int64_t s = 0; s < steps; s++, left += AMX_STEP_BYTES) {
        const char *right = b->start + b->at[s];
        next = prefetch_rows(a, next);
        LEFT(4, 0, 0); RIGHT(6, 0, 0); RIGHT(7, 0, 1);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        RIGHT(5, 1, 0); RIGHT(3, 1, 1);
        _tile_dpbf16ps(0, 4, 5);
        _tile_dpbf16ps(1, 4, 3);
        LEFT(2, 1, 0);
        _tile_dpbf16ps(0, 2, 6);
        _tile_dpbf16ps(1, 2, 7);
    }
    KEEP(0, 0, 0); KEEP(1, 0, 1);
}

static void multiply_2_1(int64_t steps, const amx_rows *a, const amx_columns *b, int on, float *sums,
                         int64_t sums_row) {
    const char *left = a->steps, *next = a->next;
    if (on) {
        TAKE(0, 0, 0); TAKE(1, 1, 0);
    } else {
        _tile_zero(0); _tile_zero(1);
    }
    for (int64_t s = 0; s < steps; s++, left += AMX_STEP_BYTES) {
        const char *right = b->start + b->at[s];
        next = prefetch_rows(a, next);
        RIGHT(4, 0, 0); LEFT(6, 0, 0); LEFT(7, 0, 1);
        _tile_dpbf16ps(0, 6, 4);
        _tile_dpbf16ps(1, 7, 4);
        RIGHT(2, 1, 0);
        _tile_dpbf16ps(0, 6, 2);
        _tile_dpbf16ps(1, 7, 2);
        LEFT(5, 1, 0); LEFT(3, 1, 1);
        _tile_dpbf16ps(0, 5, 4);
        _tile_dpbf16ps(1, 3, 4);
    }
    KEEP(0, 0, 0); KEEP(1, 1, 0);
}

void amx_multiply(int64_t steps, const amx_rows *a, const amx_columns *b, int64_t rows, int64_t columns,
                  int on, float *sums, int64_t sums_row) {
    if (rows <= 16)
        multiply_1_2(steps, a, b, on, sums, sums_row);
    else if (columns <= 16)
        multiply_2_1(steps, a, b, on, sums, sums_row);
    else
        multiply_2_2(steps, a, b, on, sums, sums_row);
}

void amx_split_lines(const float *even, const float *odd, int64_t count, void *high, void *low) {
    for (int64_t i = 0; i < count; i += 16) {
        const __mmask16 some = first_lanes(count - i);
        const __m512 p = _mm512_maskz_loadu_ps(some, even + i);
        const __m512 q = odd ? _mm512_maskz_loadu_ps(some, odd + i) : _mm512_setzero_ps();
        const __m512i a = rounded(_mm512_castps_si512(p)), b = rounded(_mm512_castps_si512(q));
        _mm512_storeu_si512((char *)high + i * 4, pairs(a, b));
        _mm512_storeu_si512((char *)low + i * 4, pairs(rest(p, a), rest(q, b)));
    }
}
#if defined(__clang__)
#pragma clang attribute pop
#endif

#else
int amx_supported(void) { return 0; }
void amx_open(void) {}
void amx_close(void) {}
void amx_split_rows(const float *from, int64_t row_step, int64_t rows, int64_t depth, void *steps) {
    (void)from, (void)row_step, (void)rows, (void)depth, (void)steps;
}
void amx_split_columns(const float *from, int64_t row_step, int64_t depth, int64_t columns,
                       void *steps) {
    (void)from, (void)row_step, (void)depth, (void)columns, (void)steps;
}
void amx_split_lines(const float *even, const float *odd, int64_t count, void *high, void *low) {
    (void)even, (void)odd, (void)count, (void)high, (void)low;
}
void amx_multiply(int64_t steps, const amx_rows *a, const amx_columns *b, int64_t rows, int64_t columns,
                  int on, float *sums, int64_t sums_row) {
    (void)steps, (void)a, (void)b, (void)rows, (void)columns, (void)on, (void)sums, (void)sums_row;
}
#endif
