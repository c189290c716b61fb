/* Vectors of a row: at its ends, every second element, neighbours. */

/* Which lanes of a vector at column `at` of a row exist. */
#if defined(__AVX512F__) && REAL_IS_FLOAT
typedef __mmask16 FN(existing);
#elif defined(__AVX2__) && REAL_IS_FLOAT
typedef FN(lanes) FN(existing);
#else
typedef struct { int64_t from, to; } FN(existing);
#endif

INLINE FN(existing) FN(existing_at)(int64_t at, int64_t width) {
    const int64_t from = MAX(0, MIN(LANES, -at)), to = MAX(from, MIN(LANES, width - at));
#if defined(__AVX512F__) && REAL_IS_FLOAT
    return (__mmask16)((1u << to) - (1u << from));
#elif defined(__AVX2__) && REAL_IS_FLOAT
    const FN(lanes) number = {0, 1, 2, 3, 4, 5, 6, 7};
    return (number >= (int32_t)from) & (number < (int32_t)to);
#else
    return (FN(existing)){from, to};
#endif
}

/* A vector, `other` where nothing exists. */
INLINE VEC FN(load_existing)(const real *from, FN(existing) lanes, VEC other) {
#if defined(__AVX512F__) && REAL_IS_FLOAT
    return (VEC)_mm512_mask_loadu_ps((__m512)other, lanes, from);
#elif defined(__AVX2__) && REAL_IS_FLOAT
    return FN(chosen)(lanes, (VEC)_mm256_maskload_ps(from, (__m256i)lanes), other);
#else
    if (lanes.to - lanes.from == LANES) return *(const VEC *)from;
    for (int64_t i = lanes.from; i < lanes.to; i++) other[i] = from[i];
    return other;
#endif
}

#if defined(__GNUC__) && !defined(__clang__) && VECTOR_LANES > 1
#define PICK(a, b, at)                                                          \
    FN(lanes) places;                                                           \
    for (int i = 0; i < LANES; i++) places[i] = at;                             \
    return __builtin_shuffle(a, b, places)
#else
#define PICK(a, b, at)                                                          \
    VEC picked;                                                                 \
    for (int i = 0; i < LANES; i++) picked[i] = (at) < LANES ? (a)[at] : (b)[(at) - LANES]; \
    return picked
#endif

/* Elements first, first + 2 ... of a and b, one after the other; first is 0 or 1. */
INLINE VEC FN(every_second)(VEC a, VEC b, int first) { PICK(a, b, 2 * i + first); }
/* Elements by, by + 1 ... of a and b. */
INLINE VEC FN(neighbours)(VEC a, VEC b, int by) { PICK(a, b, i + by); }
#undef PICK
