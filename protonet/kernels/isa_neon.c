/* NEON, which every 64-bit ARM has: 32 registers of 16 bytes; 8 × 3 vectors accumulate. */
#if defined(__aarch64__)
#define ISA neon
#define LANES_FLOAT 4
#define LANES_DOUBLE 2
#define TILE_ROWS 8
#define TILE_VECTORS 3
#include "variant.h"
#endif
