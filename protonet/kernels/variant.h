/* One instruction set's kernels: every family twice, for float and for double.
 * The including file sets ISA, the lanes of a vector (LANES_FLOAT, LANES_DOUBLE) and the matrix
 * product's register block (TILE_ROWS × TILE_VECTORS vectors). */
#include <float.h>
#include <math.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "table.h"
#include "tiny.h"

#define PASTE_(a, b, c) a##_##b##_##c
#define PASTE(a, b, c) PASTE_(a, b, c)
/* A name of this variant: FN(gemm) is gemm_avx512_float, gemm_avx512_double, … */
#define FN(name) PASTE(name, ISA, real)
#define KERNEL(name) static void FN(name)(const void *arguments)
#define ARGS(name) const name##_args *a = (const name##_args *)arguments

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define PRAGMA(text) _Pragma(#text)

/* A loop whose rounds are independent, shared among the team. Work is counted in elements
 * touched (for products: multiply-adds / 16); under 64 Ki of it, about 20 µs, waking the team
 * costs more than it saves. */
#define PARALLEL_FROM 65536
#ifdef _OPENMP
#define PARALLEL_FOR(work) PRAGMA(omp parallel for schedule(static) if ((work) >= PARALLEL_FROM))
#define SIMD PRAGMA(omp simd)
#else
#define PARALLEL_FOR(work)
#define SIMD
#endif

/* for i = 0 ... n - 1 in blocks of a fixed size, so that what the compiler makes of a block's
 * end does not depend on the team. Work: as in PARALLEL_FOR, for one round. Rounds may write what
 * they read at the same i. */
#define EACH_BLOCK 2048
#define FOR_EACH(i, n, work)                                                  \
    PARALLEL_FOR((n) * (work))                                                \
    for (int64_t i##_block = 0; i##_block < (n); i##_block += EACH_BLOCK) SIMD \
        for (int64_t i = i##_block; i < MIN((n), i##_block + EACH_BLOCK); i++)

#define real float
#define REAL_IS_FLOAT 1
#define VECTOR_LANES LANES_FLOAT
#define REAL_MIN FLT_MIN
#define REAL_MAX FLT_MAX
#include "families.h"
#undef real
#undef REAL_IS_FLOAT
#undef VECTOR_LANES
#undef REAL_MIN
#undef REAL_MAX

#define real double
#define REAL_IS_FLOAT 0
#define VECTOR_LANES LANES_DOUBLE
#define REAL_MIN DBL_MIN
#define REAL_MAX DBL_MAX
#include "families.h"
#undef real

#define KERNELS(name) {#name, PASTE(name, ISA, float), PASTE(name, ISA, double)},
#define TABLE_(isa) table_##isa
#define TABLE(isa) TABLE_(isa)
const table_row TABLE(ISA)[] = {
#include "kernel_list.h"
    {NULL, NULL, NULL}};
