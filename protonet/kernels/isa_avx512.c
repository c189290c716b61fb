/* AVX-512: 32 registers of 64 bytes; 14 × 2 vectors accumulate. */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prfchw"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prfchw,prefer-vector-width=512")
#endif
#include <immintrin.h>
#define ISA avx512
#define LANES_FLOAT 16
#define LANES_DOUBLE 8
#define TILE_ROWS 14
#define TILE_VECTORS 2
#include "variant.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
