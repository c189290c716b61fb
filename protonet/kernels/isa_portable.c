/* Whatever the compiler makes of 16-byte vectors on its base target. */
#if 1
#define ISA portable
#define LANES_FLOAT 4
#define LANES_DOUBLE 2
#define TILE_ROWS 4
#define TILE_VECTORS 2
#include "variant.h"
#endif
