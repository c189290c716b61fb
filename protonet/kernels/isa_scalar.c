/* One element at a time: the twin that the others are tested against. */
#if 1
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O1")
#endif
#define ISA scalar
#define LANES_FLOAT 1
#define LANES_DOUBLE 1
#define TILE_ROWS 2
#define TILE_VECTORS 2
#include "variant.h"
#endif
