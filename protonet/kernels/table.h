/* What one instruction set offers: its kernels by name, for float and for double. */
#ifndef PROTONET_TABLE_H
#define PROTONET_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "amx.h"
#include "kernels.h"

typedef struct { const char *name; kernel single_precision; kernel double_precision; } table_row;

extern const table_row table_avx512[], table_avx2[], table_neon[], table_portable[], table_scalar[];

/* A buffer of this thread that lives until the thread ends and only grows: packing space,
 * columns, partial sums. Each slot is its own buffer; contents are undefined. 64-byte aligned. */
enum { WORKSPACE_PACK_A, WORKSPACE_PACK_B, WORKSPACE_COLUMNS, WORKSPACE_PARTIAL, WORKSPACE_PACKED,
       WORKSPACE_RESULT, WORKSPACE_IMAGE, WORKSPACE_READ, WORKSPACE_SUMS,
       /* of pairs of bfloat16 */
       WORKSPACE_STEPS_A, WORKSPACE_STEPS_B, WORKSPACE_STRIPS, WORKSPACE_SLOTS };
void *workspace(int slot, size_t size_bytes);

/* Tells the team how many more (or, below zero, fewer) rows of kernels run from now on. */
void team_expect(int rows);

#endif
