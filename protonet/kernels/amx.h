/* Products of float matrices on AMX tiles.
 *
 * A float is split into two bfloat16, v = high + low with an error of at most 2^-17 |v|, and a
 * product of two floats taken as high·high + high·low + low·high, added up in float: an
 * error of some 1e-5 of a term, as much as Winograd's transforms make. A tile instruction does in 16
 * cycles what 256 multiply-adds of vectors do in 128.
 *
 * A step is AMX_DEPTH of the inner size k for a block of AMX_SIDE rows (of A) or columns (of B): the
 * tiles of high parts, then those of low ones. Rows of A's tiles are rows of k, those of B's pairs
 * of k for each column. Steps begin at multiples of 64 bytes. */
#ifndef PROTONET_AMX_H
#define PROTONET_AMX_H

#include <stdint.h>

enum { AMX_SIDE = 32, AMX_DEPTH = 32, AMX_STEP_BYTES = 4 * 1024 };

/* Whether the processor has the tiles and the kernel lets this process use them. */
int amx_supported(void);

/* The tiles are this thread's from amx_open to amx_close. */
void amx_open(void);
void amx_close(void);

/* `rows` rows of `depth` floats, row_step apart, as A's steps; what is missing of both is zero. */
void amx_split_rows(const float *from, int64_t row_step, int64_t rows, int64_t depth, void *steps);

/* `depth` rows of `columns` floats, row_step apart, as B's steps; likewise. */
void amx_split_columns(const float *from, int64_t row_step, int64_t depth, int64_t columns,
                       void *steps);

/* `count` floats of two neighbours in k (odd: NULL for zeros) as pairs for each column; up to 15 pairs of
 * zeros are written behind them. */
void amx_split_lines(const float *even, const float *odd, int64_t count, void *high, void *low);

/* Where the steps of AMX_SIDE columns are: step s at start + at[s], its rows `row` bytes apart, the second
 * tile and those of low parts so many bytes behind the first; what comes next is `ahead` bytes on, or
 * 0 if the core finds it itself. */
typedef struct {
    const char *start;
    const int64_t *at;
    int64_t row, second, low, ahead;
} amx_columns;

/* Steps of AMX_SIDE rows, and `lines` lines of what comes after them to call for at each step. */
typedef struct {
    const char *steps, *next;
    int64_t lines;
} amx_rows;

/* sums (rows sums_row apart) = or, if `on`, += the product of so many steps of A and of B; only the
 * first `rows` and `columns` are wanted. The thread must have opened the tiles. */
void amx_multiply(int64_t steps, const amx_rows *a, const amx_columns *b, int64_t rows, int64_t columns,
                  int on, float *sums, int64_t sums_row);

#endif
