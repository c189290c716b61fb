/* AVX2 with FMA: 16 registers of 32 bytes; 6 × 2 vectors accumulate. */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,prfchw"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx2,fma,prfchw")
#endif
#include <immintrin.h>
#define ISA avx2
#define LANES_FLOAT 8
#define LANES_DOUBLE 4
#define TILE_ROWS 6
#define TILE_VECTORS 2
#include "variant.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
